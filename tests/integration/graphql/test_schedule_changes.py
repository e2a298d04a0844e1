"""Schedules that are made, changed and run now over the API."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.identity import Identity
from dtq_site.foundation.scalars import DateTime
from scheduling.models import Schedule
from tasks.models import Task
from tests.integration.graphql.making import data, make_identity, refusal
from tests.integration.graphql.schedules import make_schedule, state

pytestmark = pytest.mark.django_db

MAKE = """mutation ($input: ScheduleInput!) { createSchedule(input: $input) {
    id name title description timing cronExpression intervalSeconds timezone startsAt endsAt jitterSeconds misfirePolicy
    overlapPolicy payload queue priority maxRetries timeoutSeconds nextRunAt user { email } team { name } } }"""
CHANGE = """mutation ($id: ID!, $input: ScheduleInput!) { updateSchedule(id: $id, input: $input) {
    id title cronExpression intervalSeconds nextRunAt priority misfirePolicy team { name } } }"""
RUN_NOW = (
    "mutation ($id: ID!) { runScheduleNow(id: $id) { id name status isRecurring schedule { id } user { email } } }"
)


def test_a_schedule_is_made_with_everything_that_it_can_say(user: Identity):
    asked = {
        "name": "report",
        "title": "Report",
        "description": "For the board",
        "payload": {"kind": "long"},
        "priority": 10,
        "queue": "mail",
        "maxRetries": 1,
        "timeoutSeconds": 9.0,
        "intervalSeconds": 3600,
        "timezone": "Europe/Berlin",
        "startsAt": "2100-01-01T00:00:00.000000Z",
        "endsAt": "2100-02-01T00:00:00.000000Z",
        "jitterSeconds": 0,
        "misfirePolicy": "FIRE_ALL",
        "overlapPolicy": "QUEUE_ONE",
    }

    made = data(MAKE, user, input=asked)["createSchedule"]

    schedule, task = Schedule.objects.get(), Task.objects.get()
    assert made == {
        **asked,
        "id": str(schedule.pk),
        "timing": "every hour",
        "cronExpression": None,
        "nextRunAt": asked["startsAt"],
        "user": {"email": f"{user.username}@example.com"},
        "team": {"name": "red"},
    }
    assert (task.pk, task.status, task.name, task.payload) == (
        schedule.coming_task_id,
        "PENDING",
        "report",
        {"kind": "long"},
    )


def test_what_is_left_out_has_a_default(user: Identity):
    made = data(MAKE, user, input={"name": "report", "cronExpression": "*/10 * * * * *"})["createSchedule"]

    assert (made["title"], made["payload"], made["timezone"], made["jitterSeconds"]) == ("report", {}, "UTC", 0)
    assert (made["misfirePolicy"], made["overlapPolicy"]) == ("FIRE_ONCE", "ALLOW")
    assert made["description"] == made["timing"] == "every 10 seconds, UTC"


def test_policies_are_taken_in_any_case(user: Identity):
    query = """mutation { createSchedule(input: {name: "n", intervalSeconds: 5, misfirePolicy: fire_all,
        overlapPolicy: "cancel-previous"}) { misfirePolicy overlapPolicy } }"""

    assert data(query, user)["createSchedule"] == {"misfirePolicy": "FIRE_ALL", "overlapPolicy": "CANCEL_PREVIOUS"}


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"name": "n"}, "input.cronExpression"),
        ({"name": "n", "cronExpression": "0 0 31 2 *"}, "input.cronExpression"),
        ({"name": "n", "cronExpression": "@daily", "intervalSeconds": 5}, "input.intervalSeconds"),
        ({"name": "n", "intervalSeconds": 0}, "input.intervalSeconds"),
        ({"name": "n", "intervalSeconds": 5, "timezone": "Moon"}, "input.timezone"),
        ({"name": "n", "intervalSeconds": 5, "jitterSeconds": -1}, "input.jitterSeconds"),
        ({"name": "n", "cronExpression": "@daily", "endsAt": "2020-01-01T00:00:00Z"}, "input.endsAt"),
        ({"name": "n", "intervalSeconds": 5, "startsAt": "2999-01-01T00:00:00Z"}, "input.startsAt"),
        ({"intervalSeconds": 5}, "input.name"),
        ({"name": "n", "intervalSeconds": 5, "maxRetries": -1}, "input.maxRetries"),
        ({"name": "n", "intervalSeconds": 5, "payload": []}, "input.payload"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_with_its_field_and_nothing_is_made(
    user: Identity, asked: dict[str, Any], field: str
):
    assert refusal(MAKE, user, input=asked) == ("BAD_USER_INPUT", field)
    assert state() == ((), ())


def test_a_schedule_is_changed(user: Identity):
    schedule = make_schedule(user)

    changed = data(CHANGE, user, id=str(schedule.pk), input={"intervalSeconds": 3600, "misfirePolicy": "SKIP"})

    task = Task.objects.get()
    assert changed["updateSchedule"] == {
        "id": str(schedule.pk),
        "title": "T",
        "cronExpression": None,
        "intervalSeconds": 3600,
        "nextRunAt": DateTime.serialize(task.scheduled_at),
        "priority": 10,
        "misfirePolicy": "SKIP",
        "team": {"name": "red"},
    }
    assert (task.status, task.payload, task.title) == ("PENDING", {"a": 1}, "T")


def test_a_change_that_cannot_be_names_its_field_and_changes_nothing(user: Identity):
    schedule = make_schedule(user)
    before = state()

    asked = {"cronExpression": "61 * * * *"}
    assert refusal(CHANGE, user, id=str(schedule.pk), input=asked) == ("BAD_USER_INPUT", "input.cronExpression")
    assert state() == before


def test_a_schedule_is_run_now(user: Identity):
    schedule = make_schedule(make_identity())
    coming = Task.objects.get()

    made = data(RUN_NOW, user, id=str(schedule.pk))["runScheduleNow"]

    assert made == {
        "id": str(Task.objects.exclude(pk=coming.pk).get().pk),
        "name": "n",
        "status": "QUEUED",
        "isRecurring": True,
        "schedule": {"id": str(schedule.pk)},
        "user": {"email": f"{user.username}@example.com"},
    }
    assert Schedule.objects.get().coming_task_id == coming.pk


@pytest.mark.parametrize("query", [CHANGE, RUN_NOW])
def test_others_neither_change_nor_run_a_schedule(user: Identity, viewer: Identity, stranger: Identity, query: str):
    schedule = make_schedule(user)
    before = state()
    arguments = {"id": str(schedule.pk)} | ({"input": {"priority": 1}} if query is CHANGE else {})

    assert refusal(query, viewer, **arguments) == ("FORBIDDEN", None)
    assert refusal(query, stranger, **arguments) == ("NOT_FOUND", None)
    assert refusal(query, user, **{**arguments, "id": "nonsense"}) == ("NOT_FOUND", None)
    assert state() == before
