"""Schedules as the API shows and steers them."""

from __future__ import annotations

import pytest

from accounts.identity import Identity
from dtq_site.foundation.scalars import DateTime
from tasks.models import Task
from tests.integration.graphql.making import data, make_identity, refusal
from tests.integration.graphql.schedules import PAUSE, RESUME, make_schedule, state
from tests.support.factories import ID_OF_NOTHING

pytestmark = pytest.mark.django_db

DELETE = "mutation ($id: ID!) { deleteSchedule(id: $id) }"


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
