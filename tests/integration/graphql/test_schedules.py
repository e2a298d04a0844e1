"""Schedules as the API shows and steers them."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.identity import Identity
from dtq_site.foundation.scalars import DateTime
from scheduling.models import Schedule
from tasks.models import Task
from tests.integration.graphql.making import data, make_identity, refusal
from tests.support.factories import ID_OF_NOTHING

pytestmark = pytest.mark.django_db

CREATE = """mutation { createTask(input: {name: "n", title: "T", description: "D", payload: {a: 1}, priority: HIGH,
    queue: "mail", maxRetries: 1, timeoutSeconds: 9, cronExpression: "@daily", timezone: "Europe/Berlin"}) { id } }"""
PAUSE, RESUME = (
    f"mutation ($id: ID!) {{ {verb}Schedule(id: $id) {{ paused nextRunAt team {{ name }} }} }}"
    for verb in ("pause", "resume")
)
DELETE = "mutation ($id: ID!) { deleteSchedule(id: $id) }"


def make_schedule(identity: Identity) -> Schedule:
    data(CREATE, identity)
    return Schedule.objects.get()


def state() -> tuple[Any, ...]:
    return tuple(Schedule.objects.values_list()), tuple(Task.objects.values_list("id", "status"))


def test_everything_of_a_schedule_is_shown(user: Identity, viewer: Identity):
    schedule = make_schedule(user)

    fields = """{ id name title description timing cronExpression intervalSeconds timezone startsAt endsAt jitterSeconds
        misfirePolicy overlapPolicy paused nextRunAt lastRunAt createdAt payload queue priority priorityLevel maxRetries
        timeoutSeconds user { email } team { name } }"""
    shown = data(f'{{ schedules {fields} schedule(id: "{schedule.pk}") {fields} }}', viewer)

    assert shown["schedules"] == [shown["schedule"]]
    assert shown["schedule"] == {
        "id": str(schedule.pk),
        "name": "n",
        "title": "T",
        "description": "D",
        "timing": "at 00:00 every day, Europe/Berlin",
        "cronExpression": "@daily",
        "intervalSeconds": None,
        "timezone": "Europe/Berlin",
        "startsAt": None,
        "endsAt": None,
        "jitterSeconds": 0,
        "misfirePolicy": "FIRE_ONCE",
        "overlapPolicy": "ALLOW",
        "paused": False,
        "nextRunAt": DateTime.serialize(schedule.next_due),
        "lastRunAt": None,
        "createdAt": DateTime.serialize(schedule.created_at),
        "payload": {"a": 1},
        "queue": "mail",
        "priority": 10,
        "priorityLevel": "HIGH",
        "maxRetries": 1,
        "timeoutSeconds": 9.0,
        "user": {"email": f"{user.username}@example.com"},
        "team": {"name": "red"},
    }


def test_a_schedule_is_paused_and_resumed(user: Identity):
    schedule = make_schedule(user)
    due = DateTime.serialize(schedule.next_due)
    red = {"team": {"name": "red"}}

    assert data(PAUSE, user, id=str(schedule.pk))["pauseSchedule"] == {"paused": True, "nextRunAt": None, **red}
    assert Task.objects.count() == 0

    assert data(RESUME, user, id=str(schedule.pk))["resumeSchedule"] == {"paused": False, "nextRunAt": due, **red}
    assert Task.objects.get().scheduled_at == schedule.next_due


def test_a_schedule_is_deleted_with_its_coming_task(user: Identity):
    schedule = make_schedule(user)

    assert data(DELETE, user, id=str(schedule.pk)) == {"deleteSchedule": str(schedule.pk)}
    assert state() == ((), ())


def test_a_task_whose_schedule_is_gone_does_not_recur(user: Identity):
    schedule = make_schedule(user)
    Task.objects.update(hold="", status="QUEUED")  # as if it had been released
    data(DELETE, user, id=str(schedule.pk))

    assert data("{ tasks { isRecurring cronExpression schedule { id } } }", user) == {
        "tasks": [{"isRecurring": False, "cronExpression": None, "schedule": None}]
    }


@pytest.mark.parametrize("query", [PAUSE, RESUME, DELETE])
def test_viewers_workers_and_other_teams_change_nothing(
    user: Identity, viewer: Identity, worker_account: Identity, stranger: Identity, query: str
):
    schedule = make_schedule(user)
    before = state()

    for who, code in (
        (viewer, "FORBIDDEN"),
        (worker_account, "FORBIDDEN"),
        (stranger, "NOT_FOUND"),
        (None, "UNAUTHENTICATED"),
    ):
        assert refusal(query, who, id=str(schedule.pk)) == (code, None)
    assert state() == before


def test_a_team_sees_its_own_and_an_admin_all(user: Identity, stranger: Identity, admin: Identity):
    schedule = make_schedule(user)
    query = f'{{ schedule(id: "{schedule.pk}") {{ name }} schedules {{ name }} }}'

    assert data(query, admin) == {"schedule": {"name": "n"}, "schedules": [{"name": "n"}]}
    assert data("{ schedules { name } }", stranger) == {"schedules": []}
    assert refusal(query, stranger) == ("NOT_FOUND", None)


def test_an_admin_steers_the_schedules_of_every_team(admin: Identity):
    schedule = make_schedule(make_identity(team="blue"))

    assert data(PAUSE, admin, id=str(schedule.pk))["pauseSchedule"]["paused"] is True


@pytest.mark.parametrize("query", [PAUSE, RESUME, DELETE, "query ($id: ID!) { schedule(id: $id) { id } }"])
@pytest.mark.parametrize("id", ["nonsense", ID_OF_NOTHING])
def test_an_id_of_nothing_is_not_found(user: Identity, query: str, id: str):
    assert refusal(query, user, id=id) == ("NOT_FOUND", None)


# --- making and changing -------------------------------------------------------------------------------------------

MAKE = """mutation ($input: ScheduleInput!) { createSchedule(input: $input) {
    id name title description timing cronExpression intervalSeconds timezone startsAt endsAt jitterSeconds misfirePolicy
    overlapPolicy payload queue priority maxRetries timeoutSeconds nextRunAt user { email } team { name } } }"""
CHANGE = """mutation ($id: ID!, $input: ScheduleInput!) { updateSchedule(id: $id, input: $input) {
    id title cronExpression intervalSeconds nextRunAt priority misfirePolicy team { name } } }"""
RUN_NOW = (
    "mutation ($id: ID!) { runScheduleNow(id: $id) { id name status isRecurring schedule { id } user { email } } }"
)
PREVIEW = """query ($expression: String!, $timezone: String, $after: DateTime, $count: Int) {
    previewSchedule(cronExpression: $expression, timezone: $timezone, after: $after, count: $count) {
        description runs { at local adjusted } } }"""


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


# --- the next runs -------------------------------------------------------------------------------------------------


def test_a_preview_tells_the_expression_and_its_runs_and_marks_those_that_a_change_of_the_clock_touches(
    viewer: Identity,
):
    asked = {"expression": "30 2 * * *", "timezone": "Europe/Berlin", "after": "2026-03-28T12:00:00Z", "count": 2}

    assert data(PREVIEW, viewer, **asked)["previewSchedule"] == {
        "description": "at 02:30 every day, Europe/Berlin",
        "runs": [
            {"at": "2026-03-29T01:00:00.000000Z", "local": "2026-03-29T03:00:00+02:00", "adjusted": True},
            {"at": "2026-03-30T00:30:00.000000Z", "local": "2026-03-30T02:30:00+02:00", "adjusted": False},
        ],
    }


@pytest.mark.parametrize("nothing", [{}, {"timezone": None, "after": None, "count": None}])
def test_a_preview_shows_twenty_runs_from_now_in_utc(viewer: Identity, nothing: dict[str, None]):
    preview = data(PREVIEW, viewer, expression="@daily", **nothing)["previewSchedule"]

    assert preview["description"] == "at 00:00 every day, UTC"
    assert len(preview["runs"]) == len({run["at"] for run in preview["runs"]}) == 20
    assert {run["at"][10:] for run in preview["runs"]} == {"T00:00:00.000000Z"}
    assert {(run["local"][10:], run["adjusted"]) for run in preview["runs"]} == {("T00:00:00+00:00", False)}


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"expression": "0 0 30 2 *"}, "cronExpression"),
        ({"expression": "nonsense"}, "cronExpression"),
        ({"expression": "@daily", "timezone": "Moon"}, "timezone"),
        ({"expression": "@daily", "count": 0}, "count"),
        ({"expression": "@daily", "count": 101}, "count"),
        ({"expression": "@daily", "after": "9999-12-31T23:00:00Z"}, "after"),
    ],
)
def test_a_preview_of_what_cannot_be_is_refused_with_its_field(viewer: Identity, asked: dict[str, Any], field: str):
    assert refusal(PREVIEW, viewer, **asked) == ("BAD_USER_INPUT", field)


def test_a_schedule_shows_its_next_runs_whether_it_is_paused_or_not(user: Identity):
    schedule = make_schedule(user)
    query = "query ($id: ID!) { schedule(id: $id) { nextRunAt nextRuns(count: 3) { at local } } }"

    shown = data(query, user, id=str(schedule.pk))["schedule"]
    data(PAUSE, user, id=str(schedule.pk))
    paused = data(query, user, id=str(schedule.pk))["schedule"]

    assert shown["nextRuns"] == paused["nextRuns"] and len(shown["nextRuns"]) == 3
    assert shown["nextRunAt"] == shown["nextRuns"][0]["at"] and paused["nextRunAt"] is None
    assert shown["nextRuns"][0]["local"][10:19] == "T00:00:00"
