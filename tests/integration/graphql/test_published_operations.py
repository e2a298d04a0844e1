"""Every operation that was published works as written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pytest_django import Settings

from accounts.identity import Identity
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.scalars import DateTime
from scheduling.models import Schedule
from tasks import audit
from tasks.domain.outcome import OutcomeKind
from tasks.models import Task
from tests.integration.graphql import published_operations as published
from tests.integration.graphql.making import data, finish, make_task, make_worker, start

pytestmark = pytest.mark.django_db


def written(moment: datetime | None) -> str | None:
    return DateTime.serialize(moment) if moment else None


def test_somebody_registers_and_signs_in(settings: Settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    registered = data(published.REGISTER)["register"]

    signed_in = data(published.LOGIN)["login"]

    assert registered["user"] == {
        "id": signed_in["user"]["id"],
        "email": "user@example.com",
        "name": "John Doe",
        "role": "USER",
    }
    assert signed_in["user"]["email"] == "user@example.com"
    assert registered["accessToken"] and signed_in["accessToken"]


def test_pending_tasks_are_listed(user: Identity):
    task = make_task(delay_seconds=60)
    make_task()

    assert data(published.PENDING_TASKS, user) == {
        "tasks": [
            {
                "id": str(task.pk),
                "name": "send-email",
                "priority": 5,
                "status": "PENDING",
                "createdAt": written(task.created_at),
                "error": None,
            }
        ]
    }


def test_processing_tasks_are_listed_with_their_users(user: Identity):
    created = data(published.CREATE_BY_TITLE, user)["createTask"]
    start(Task.objects.get(pk=created["id"]))

    assert data(published.PROCESSING_TASKS, user) == {
        "tasks": [
            {
                **created,
                "status": "PROCESSING",
                "attempts": 1,
                "user": {"email": f"{user.username}@example.com"},
            }
        ]
    }
    assert data(published.ALL_IDS, user) == {"tasks": [{"id": created["id"]}]}


def test_a_task_is_shown(user: Identity):
    task = make_task(payload={"email": "a@example.com"}, max_retries=2)

    assert data(published.SINGLE_TASK.replace("TASK_ID", str(task.pk)), user) == {
        "task": {
            "id": str(task.pk),
            "name": "send-email",
            "payload": {"email": "a@example.com"},
            "status": "QUEUED",
            "retries": 0,
            "maxRetries": 2,
        }
    }


def test_a_task_is_shown_with_all_that_became_of_it(user: Identity):
    now = database_clock.now()
    task = finish(make_task(title="A mail", description="To Ann", payload={"n": 1}), result={"sent": [1]})
    audit.record_lines([audit.LogLine(task.pk, 1, 1, 1, "info", "sent")], now)

    assert data(published.TASK_DETAILS.replace("TASK_ID", str(task.pk)), user) == {
        "task": {
            "id": str(task.pk),
            "title": "A mail",
            "description": "To Ann",
            "status": "COMPLETED",
            "priority": 5,
            "payload": {"n": 1},
            "result": {"sent": [1]},
            "error": None,
            "attempts": 1,
            "maxRetries": 3,
            "startedAt": written(task.started_at),
            "completedAt": written(task.completed_at),
            "logs": [{"message": "sent", "level": "info", "createdAt": written(now)}],
        }
    }


def test_workers_are_listed(user: Identity):
    worker = make_worker("w-1")
    start(make_task(), worker.pk)

    assert data(published.WORKERS, user) == {
        "workers": [
            {
                "id": str(worker.pk),
                "name": "w-1",
                "activeTaskCount": 1,
                "isOnline": True,
                "lastHeartbeat": written(worker.last_heartbeat),
            }
        ]
    }


def test_tasks_are_counted(user: Identity):
    make_task(delay_seconds=60)
    start(make_task())
    finish(make_task())
    finish(make_task(), OutcomeKind.DISCARDED, error="no")

    assert data(published.STATS, user) == {
        "taskStats": {"total": 4, "pending": 1, "processing": 1, "completed": 1, "failed": 1}
    }


def test_a_task_is_created_by_name(user: Identity):
    answer = data(published.CREATE_BY_NAME, user)["createTask"]

    task = Task.objects.get()
    assert answer == {"id": str(task.pk), "status": "QUEUED", "createdAt": written(task.created_at)}
    assert (task.name, task.payload, task.priority) == ("send-email", {"email": "user@example.com"}, 10)
    assert (task.team_id, task.user_id) == (user.team_id, user.user_id)


def test_a_task_is_created_by_title(user: Identity):
    answer = data(published.CREATE_BY_TITLE, user)["createTask"]

    task = Task.objects.get()
    assert answer == {
        "id": str(task.pk),
        "title": "Process Video",
        "status": "QUEUED",
        "priority": 10,
        "createdAt": written(task.created_at),
    }
    assert (task.name, task.description) == ("process-video", "Convert video to multiple formats")
    assert task.payload == {"videoId": "abc123", "formats": ["720p", "1080p", "4K"]}


def test_a_task_is_created_for_later(user: Identity):
    later = (database_clock.now() + timedelta(days=18)).replace(microsecond=0)

    operation = published.CREATE_FOR_LATER.replace("SCHEDULED_AT", f"{later:%Y-%m-%dT%H:%M:%SZ}")
    answer = data(operation, user)["createTask"]

    task = Task.objects.get()
    assert answer == {"id": str(task.pk), "title": "Send Newsletter", "scheduledAt": written(later)}
    assert (task.name, task.status, task.scheduled_at) == ("send-newsletter", "PENDING", later)


def test_a_moment_that_has_passed_is_now(user: Identity):
    data(published.CREATE_FOR_LATER.replace("SCHEDULED_AT", "2025-12-10T09:00:00Z"), user)

    task = Task.objects.get()
    assert (task.status, task.scheduled_at) == ("QUEUED", datetime(2025, 12, 10, 9, tzinfo=UTC))


@pytest.mark.parametrize(
    ("operation", "payload"),
    [(published.CREATE_RECURRING, {"reportType": "sales"}), (published.CREATE_RECURRING_WITHOUT_PAYLOAD, {})],
)
def test_a_recurring_task_is_answered_with_its_coming_occurrence(user: Identity, operation: str, payload: dict):
    answer = data(operation, user)["createTask"]

    task, schedule = Task.objects.get(), Schedule.objects.get()
    assert answer == {"id": str(task.pk)}
    assert (task.status, task.name, task.payload, task.schedule_id) == ("PENDING", "daily-report", payload, schedule.pk)
    assert (schedule.cron_expression, schedule.timezone, schedule.next_due) == ("0 2 * * *", "UTC", task.scheduled_at)
    assert (task.scheduled_at.hour, task.scheduled_at.minute) == (2, 0)


@pytest.mark.parametrize(
    ("operation", "count"), [(published.RETRY_WITH_RETRIES, "retries"), (published.RETRY_WITH_ATTEMPTS, "attempts")]
)
def test_a_failed_task_is_retried(user: Identity, operation: str, count: str):
    task = finish(make_task(), OutcomeKind.DISCARDED, error="no")

    answer = data(operation.replace("TASK_ID", str(task.pk)), user)["retryTask"]

    assert answer == {"id": str(task.pk), "status": "QUEUED", count: {"retries": 0, "attempts": 1}[count]}


def test_a_task_is_cancelled(user: Identity):
    task = make_task()

    answer = data(published.CANCEL.replace("TASK_ID", str(task.pk)), user)

    assert answer == {"cancelTask": {"id": str(task.pk), "status": "CANCELLED"}}
