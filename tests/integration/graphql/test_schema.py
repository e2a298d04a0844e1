"""The schema as clients see it: everything is described, and the page that shows it is up to date."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import call_command
from graphql import GraphQLInputObjectType, GraphQLObjectType, is_introspection_type, is_specified_scalar_type

from dtq_site.schema import schema

TYPES = {
    name: kind
    for name, kind in schema.graphql_schema.type_map.items()
    if not is_introspection_type(kind) and not is_specified_scalar_type(kind)
}
ENUMS = {
    "TaskStatus": ["PENDING", "QUEUED", "PROCESSING", "COMPLETED", "FAILED", "CANCELLED", "DEAD_LETTER"],
    "PriorityLevel": ["LOW", "NORMAL", "HIGH", "CRITICAL"],
    "TaskOrder": ["NEWEST", "OLDEST", "PRIORITY", "UPDATED"],
    "WorkerStatus": ["RUNNING", "STOPPING", "STOPPED"],
    "Role": ["ADMIN", "USER", "WORKER", "VIEWER"],
}
PAGE = Path(__file__).resolve().parents[3] / "docs" / "schema.graphql"


def described_parts(name: str) -> dict[str, str | None]:
    kind = TYPES[name]
    parts = {name: kind.description}
    if isinstance(kind, GraphQLObjectType | GraphQLInputObjectType):
        for field_name, field in kind.fields.items():
            parts[f"{name}.{field_name}"] = field.description
            for argument_name, argument in getattr(field, "args", {}).items():
                parts[f"{name}.{field_name}({argument_name})"] = argument.description
    return parts


@pytest.mark.parametrize("name", TYPES)
def test_every_type_field_and_argument_is_described(name: str):
    assert [part for part, text in described_parts(name).items() if not (text or "").strip()] == []


@pytest.mark.parametrize("name", ENUMS)
def test_an_enum_has_its_members(name: str):
    assert list(TYPES[name].values) == ENUMS[name]


def test_the_page_with_the_schema_is_up_to_date(capsys: pytest.CaptureFixture[str]):
    call_command("graphql_schema")

    assert PAGE.read_text() == capsys.readouterr().out, "run: manage.py graphql_schema > docs/schema.graphql"
