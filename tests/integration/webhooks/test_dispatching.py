"""Events become deliveries and tasks, all or nothing: for whom, with what in them, in batches, once between schedulers."""

from __future__ import annotations

import json
import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import registration
from accounts.identity import Identity
from accounts.models import Team
from accounts.roles import Role
from dtq_site.foundation.errors import BadInput
from scheduling.duties.retention import WebhookRetention
from scheduling.duties.webhook_dispatcher import WebhookDispatcher
from tasks import lifecycle, submission
from tasks.domain.submission import Request
from tasks.failures import dead_letters_by_error
from tasks.models import Task, TaskEvent, WebhookAttempt, WebhookDelivery
from tasks.submission import Owner
from tasks.webhooks import deliveries, subscriptions
from tests.integration.handlers.conftest import WebServer
from tests.integration.scheduling.performing import make_duty
from tests.integration.webhooks.making import a_test_of, carriers, carry, events, log, subscribe
from tests.support.factories import (
    START,
    ManualClock,
    after,
    claim,
    claimed,
    completed,
    create,
    discarded,
    failed,
    in_own_connection,
    lease_of,
    make_team,
    settle,
)


def note(count: int, team: Team, error: str = "") -> None:
    rows: dict[str, Any] = {"team_id": team.pk, "name": "job", "queue": "default", "attempts": 1, "error": error}
    completions = [
        TaskEvent(event="task.completed", task_id=task_id, at=START, **rows) for task_id in deliveries.ids.new(count)
    ]
    TaskEvent.objects.bulk_create(completions, batch_size=1000)


def perform_until_it_rests(duty: WebhookDispatcher) -> list[float]:
    rests = [duty.perform(START)]
    while rests[-1] == 0.0:
        rests.append(duty.perform(START))
    return rests


def test_an_event_becomes_a_message_and_a_task_that_names_nothing_but_ids():
    issued = subscribe("https://shop.example/secret/path?key=1", events=["task.failed"])
    task = claimed(queue="mail", name="send")
    settle(discarded(lease_of(task), "no such box\n" + "x" * 2000), now=after(3.5))

    assert deliveries.dispatch(after(4)) == deliveries.Dispatched(1, 1, more=False)

    (carrier,) = carriers()
    delivery = WebhookDelivery.objects.get()
    assert carrier.payload == {"webhook": str(issued.webhook.pk), "delivery": str(delivery.pk)}
    assert (carrier.team, carrier.queue, carrier.title) == (make_team(), "webhooks", "task.failed to shop.example")
    assert (carrier.max_retries, carrier.limit_key, carrier.status) == (30, str(issued.webhook.pk), "QUEUED")
    assert (delivery.webhook_id, delivery.carrier_id, delivery.task_id) == (issued.webhook.pk, carrier.pk, task.pk)
    assert json.loads(delivery.body) == {
        "type": "task.failed",
        "timestamp": "2030-01-01T12:00:03.500000Z",
        "data": {
            "task": {
                "id": str(task.pk),
                "name": "send",
                "queue": "mail",
                "status": "FAILED",
                "attempts": 1,
                "error": ("no such box\n" + "x" * 2000)[:1000],
            }
        },
    }
    assert events() == []


def test_each_webhook_that_wants_it_gets_a_message_of_its_own():
    first, second = subscribe(events=["task.cancelled"]), subscribe(events=["task.cancelled", "task.failed"])
    subscribe(events=["task.completed"])
    subscribe(events=["task.cancelled"], active=False)
    subscribe(events=["task.cancelled"], team=registration.add_team("others"))
    lifecycle.cancel(create().pk, START)

    assert deliveries.dispatch(START) == deliveries.Dispatched(1, 2, more=False)

    told = {each.webhook_id: each.pk for each in WebhookDelivery.objects.all()}
    assert set(told) == {first.webhook.pk, second.webhook.pk} and len(set(told.values())) == 2
    assert {task.payload["delivery"] for task in carriers()} == {str(each) for each in told.values()}


def test_an_event_that_nobody_wants_any_more_is_dropped():
    issued = subscribe()
    lifecycle.cancel(create().pk, START)
    subscriptions.delete(issued.webhook.pk)

    assert deliveries.dispatch(START) == deliveries.Dispatched(1, 0, more=False)

    assert (events(), carriers()) == ([], [])


def test_a_dispatch_that_dies_half_way_has_done_nothing_and_the_next_does_all(monkeypatch: pytest.MonkeyPatch):
    subscribe()
    tasks = [create() for _ in range(3)]
    for task in tasks:
        lifecycle.cancel(task.pk, START)
    before = events()

    with monkeypatch.context() as patch:
        patch.setattr(deliveries.outbox, "remove", lambda events: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            deliveries.dispatch(START)
    assert (events(), carriers(), WebhookDelivery.objects.count()) == (before, [], 0)
    deliveries.dispatch(START)

    assert sorted(each.task_id for each in WebhookDelivery.objects.all()) == [task.pk for task in tasks]
    assert (events(), len(carriers())) == ([], 3)


def test_two_schedulers_at_once_deliver_each_event_once():
    subscribe()
    tasks = [create() for _ in range(40)]
    for task in tasks:
        lifecycle.cancel(task.pk, START)

    threads = [
        threading.Thread(target=in_own_connection, args=[lambda: deliveries.dispatch(START)], name=str(number))
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    deliveries.dispatch(START)

    assert sorted(each.task_id for each in WebhookDelivery.objects.all()) == [task.pk for task in tasks]
    assert len(carriers()) == 40


def test_a_flood_is_dealt_with_in_batches_and_the_duty_rests_after_it():
    subscribe(events=["task.completed"])
    note(10_000, make_team())
    duty, heard = make_duty(WebhookDispatcher)

    rests = perform_until_it_rests(duty)

    assert rests == [0.0] * 20 + [duty.period_seconds]
    assert duty.progress.account.treated == 10_000
    assert WebhookDelivery.objects.values("task_id").distinct().count() == Task.objects.count() == 10_000
    assert heard.named("webhooks.dispatched")[0].facts == {"events": 500, "deliveries": 500}


def test_long_errors_for_many_webhooks_of_one_team_hold_up_nobody():
    quiet = registration.add_team("quiet")
    told = [*(subscribe() for _ in range(20)), subscribe(team=quiet)]
    note(300, make_team(), error="\N{WARNING SIGN}\n" * 500 + "x" * 1000)
    note(1, quiet)
    duty, heard = make_duty(WebhookDispatcher)

    rests = perform_until_it_rests(duty)

    assert rests == [0.0, 0.0, 0.0, duty.period_seconds]
    rounds = [each.facts for each in heard.named("webhooks.dispatched")]
    assert rounds == [{"events": 100, "deliveries": 2000}] * 3 + [{"events": 1, "deliveries": 1}]
    each = Counter(WebhookDelivery.objects.values_list("webhook_id", flat=True))
    assert each == {issued.webhook.pk: 300 for issued in told[:-1]} | {told[-1].webhook.pk: 1}
    assert (events(), len(carriers())) == ([], 6001)


def test_a_round_makes_no_more_deliveries_than_its_bound_unless_one_event_does_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(deliveries, "DELIVERIES_AT_ONCE", 5)
    many = registration.add_team("many")
    for team in [make_team()] * 2 + [many] * 6:
        subscribe(team=team)
    note(3, make_team())
    note(2, many)
    note(1, registration.add_team("none"))

    done = [deliveries.dispatch(START) for _ in range(4)]

    assert [(each.events, each.deliveries, each.more) for each in done] == [
        (2, 4, True),
        (1, 2, True),
        (1, 6, True),
        (1, 6, True),
    ]
    assert deliveries.dispatch(START) == deliveries.Dispatched(1, 0, more=False)


def test_what_is_inserted_at_once_has_a_bound_in_bytes(monkeypatch: pytest.MonkeyPatch):
    subscribe()
    note(10, make_team(), error="\N{WARNING SIGN}" * 300)
    monkeypatch.setattr(deliveries, "STATEMENT_BYTES", 5000)

    with CaptureQueriesContext(connection) as queries:
        deliveries.dispatch(START)

    table = WebhookDelivery._meta.db_table
    assert sum("INSERT" in query["sql"] and table in query["sql"] for query in queries) == 3
    assert WebhookDelivery.objects.count() == 10


def test_keys_of_its_own_are_nobody_else_s():
    with pytest.raises(BadInput, match="'webhook:' are reserved"):
        submission.submit_one(Request(name="job", idempotency_key="webhook:1"), Owner(make_team().pk, None))

    assert not Task.objects.exists()


def test_dead_letters_of_one_receiver_stand_together_for_the_team(private_allowed: None):
    webhook = subscribe("http://127.0.0.1:9/a/secret/path").webhook
    for _ in range(2):
        task, _ = a_test_of(webhook)
        with pytest.raises(Exception, match=r"127\.0\.0\.1 did not answer") as ended:
            carry(task)
        Task.objects.filter(pk=task.pk).update(max_retries=0)
        (held,) = claim([task])
        settle(failed(lease_of(held), ended.value.reason))

    (group,) = dead_letters_by_error(Identity(None, "ann", Role.VIEWER, make_team().pk), 10)
    assert (group.name, group.count) == ("deliver-webhook", 2)
    assert "secret" not in group.gist
    assert dead_letters_by_error(Identity(None, "bob", Role.VIEWER, make_team("others").pk), 10) == []


def test_the_log_of_deliveries_is_kept_for_its_time(receiver: WebServer):
    webhook = subscribe(receiver.url).webhook
    for days in (15, 13):
        task, delivery = a_test_of(webhook)
        carry(task)
        WebhookDelivery.objects.filter(pk=delivery.pk).update(created_at=START - timedelta(days=days))
    duty, _ = make_duty(WebhookRetention)

    duty.perform(START)

    assert list(WebhookDelivery.objects.values_list("created_at", flat=True)) == [START - timedelta(days=13)]
    assert (WebhookAttempt.objects.count(), len(log())) == (1, 1)
    assert duty.progress.account.treated == 1


def test_the_clock_of_the_event_is_that_of_the_move():
    subscribe(events=["task.completed"])
    task = claimed()
    settle(completed(lease_of(task)), now=after(7))

    deliveries.dispatch(ManualClock(after(60)).now())

    assert json.loads(WebhookDelivery.objects.get().body)["timestamp"] == "2030-01-01T12:00:07.000000Z"
