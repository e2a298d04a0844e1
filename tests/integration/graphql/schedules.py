"""A schedule for the tests of the API, and what there is to be changed of it."""

from __future__ import annotations

from typing import Any

from accounts.identity import Identity
from scheduling.models import Schedule
from tasks.models import Task
from tests.integration.graphql.making import data

CREATE = """mutation { createTask(input: {name: "n", title: "T", description: "D", payload: {a: 1}, priority: HIGH,
    queue: "mail", maxRetries: 1, timeoutSeconds: 9, cronExpression: "@daily", timezone: "Europe/Berlin"}) { id } }"""
PAUSE, RESUME = (
    f"mutation ($id: ID!) {{ {verb}Schedule(id: $id) {{ paused nextRunAt team {{ name }} }} }}"
    for verb in ("pause", "resume")
)


def make_schedule(identity: Identity) -> Schedule:
    """The only one there is, of the account's team."""
    data(CREATE, identity)
    return Schedule.objects.get()


def state() -> tuple[Any, ...]:
    """All schedules, and where all tasks stand, to prove that nothing changed."""
    return tuple(Schedule.objects.values_list()), tuple(Task.objects.values_list("id", "status"))
