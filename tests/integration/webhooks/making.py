"""Webhooks and deliveries for the tests, and the scheduler's and the worker's part in them, done by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from accounts.models import Team
from dtq_site.foundation.database import database_clock
from tasks.domain.webhooks import STATUS_OF
from tasks.handlers import deliver_webhook
from tasks.models import Task, TaskEvent, Webhook, WebhookDelivery
from tasks.webhooks import deliveries, subscriptions
from tasks.webhooks.subscriptions import Issued
from tests.support.factories import START, make_team
from tests.support.handlers import RecordingSink, make_context

EVERYTHING = sorted(STATUS_OF)


def subscribe(
    url: str = "https://shop.example/hooks",
    events: Sequence[str] = EVERYTHING,
    *,
    team: Team | None = None,
    now: datetime = START,
    **asked: Any,
) -> Issued:
    """A new webhook, of everything unless said otherwise."""
    return subscriptions.create({"url": url, "events": events, **asked}, (team or make_team()).pk, now)


def events() -> list[tuple[str, str]]:
    """What is noted and not dispatched yet: the event and the task, in the order of the tasks' ids."""
    rows = TaskEvent.objects.order_by("task_id", "pk").values_list("event", "task_id")
    return [(event, str(task_id)) for event, task_id in rows]


def carriers() -> list[Task]:
    """The tasks that deliver, the earliest first."""
    return list(Task.objects.filter(name="deliver-webhook").order_by("pk"))


def a_test_of(webhook: Webhook) -> tuple[Task, WebhookDelivery]:
    """A message to be delivered to it."""
    task = deliveries.make_test(webhook, database_clock.now())
    return task, WebhookDelivery.objects.get(carrier_id=task.pk)


def carry(task: Task, attempt: int = 1, **payload: str) -> Any:
    """Do what a worker does with it."""
    context = make_context(RecordingSink(), task_id=str(task.pk), attempt=attempt)
    return deliver_webhook(context, **{**task.payload, **payload})


def log() -> list[tuple[Any, ...]]:
    """How the attempts went: number, status and error."""
    found = WebhookDelivery.objects.order_by("pk").values_list("tries__attempt", "tries__status_code", "tries__error")
    return [row for row in found.order_by("tries__pk") if row[0] is not None]
