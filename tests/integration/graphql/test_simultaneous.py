"""Requests that meet: one key makes one task."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from tasks.models import Task
from tests.integration.graphql.making import data, make_identity

pytestmark = pytest.mark.usefixtures("committed_db")

CREATE = "mutation ($input: CreateTaskInput!) { createTask(input: $input) { id status } }"
CREATE_MANY = "mutation ($inputs: [CreateTaskInput!]!) { createTasks(inputs: $inputs) { id } }"
ROUNDS = 5


def at_once(query: str, **variables: Any) -> list[dict[str, Any]]:
    """The answers to four equal requests of one user that are sent together."""
    user = make_identity()
    together = Barrier(4)

    def ask(_: int) -> dict[str, Any]:
        try:
            together.wait(10)
            return data(query, user, **variables)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(ask, range(4)))


@pytest.mark.parametrize("number", range(ROUNDS))
def test_simultaneous_requests_with_one_key_make_one_task(number: int):
    answers = at_once(CREATE, input={"name": "n", "payload": {"a": 1}, "idempotencyKey": "k"})

    assert answers == [{"createTask": {"id": str(Task.objects.get().pk), "status": "QUEUED"}}] * 4


@pytest.mark.parametrize("number", range(ROUNDS))
def test_simultaneous_requests_with_several_keys_make_one_task_for_each(number: int):
    answers = at_once(CREATE_MANY, inputs=[{"name": "n", "idempotencyKey": key} for key in "abc"])

    made = [{"id": str(task.pk)} for task in Task.objects.order_by("id")]
    assert len(made) == 3
    assert answers == [{"createTasks": made}] * 4
