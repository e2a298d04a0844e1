"""docs/API-GUIDE.md: its operations run, one after the other, and its tables are complete."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from graphql import parse, validate
from pytest_django import Settings

from accounts import registration
from accounts.identity import Identity
from dtq_site.api import errors as api_errors
from dtq_site.api import limits, websocket
from dtq_site.foundation import errors
from dtq_site.foundation.errors import DTQError
from dtq_site.schema import schema
from tasks.models import Task
from tests.integration.graphql.making import data

pytestmark = pytest.mark.django_db

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "API-GUIDE.md").read_text()
OPERATIONS = re.findall(r"^```graphql\n(.*?)^```$(?:\s+^```json\n(.*?)^```$)?", PAGE, re.MULTILINE | re.DOTALL)
TASK_ID, SCHEDULE_ID = "019aa0c4-7d3e-7a51-9c1c-5b0e6b2f4a10", "019aa0c4-9b1f-7c02-8a3d-2f6c1e9d0b77"
USER_ID = "5f0c2a54-6a0e-4a39-8f0b-3f8f0d6b9c11"


@pytest.mark.parametrize("operation", [operation for operation, _ in OPERATIONS])
def test_an_operation_of_the_guide_is_valid(operation: str):
    assert validate(schema.graphql_schema, parse(operation)) == []


def test_the_operations_of_the_guide_run_in_their_order(admin: Identity, settings: Settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    registration.create_user(username="ann", email="ann@example.com", password="a fine day for sailing")
    ids: dict[str, str] = {}

    for operation, variables in OPERATIONS:
        if operation.startswith("subscription"):
            continue  # see tests/conformance/test_guide.py
        for example, real in ids.items():
            variables = variables.replace(example, real)
        answer = data(operation, admin, **json.loads(variables or "{}"))
        created = answer.get("createTask") or {}
        if "schedule" in created:
            ids[SCHEDULE_ID] = created["schedule"]["id"]
        elif created:
            ids.setdefault(TASK_ID, created["id"])
        if "createUser" in answer:
            ids[USER_ID] = answer["createUser"]["id"]

    assert set(ids) == {TASK_ID, SCHEDULE_ID, USER_ID}
    assert list(Task.objects.order_by("id").values_list("name", "status")) == [
        ("send-email", "QUEUED"),
        ("send-newsletter", "PENDING"),
        ("resize", "QUEUED"),
        ("resize", "QUEUED"),
        ("send-invoice", "QUEUED"),
    ]


def test_the_guide_lists_every_code():
    raised = {
        each.code
        for module in (errors, api_errors, limits, websocket)
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, DTQError)
    }

    assert set(re.findall(r"^\| `([A-Z_]+)` \|", PAGE, re.MULTILINE)) == raised
