"""One attempt to deliver, against a real receiver: what it gets, and what follows from each of its answers."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pytest_django import Settings
from standardwebhooks import Webhook as Verifier

from dtq_site.foundation.database import database_clock
from dtq_site.foundation.errors import Conflict, NotFound
from tasks import Discard, Retry, lifecycle
from tasks.models import Task, Webhook, WebhookDelivery
from tasks.webhooks import deliveries, subscriptions
from tests.integration.handlers.conftest import WebServer
from tests.integration.webhooks.making import a_test_of, carriers, carry, log, subscribe
from tests.support.factories import START, create, make_team


def row(webhook: Webhook) -> dict[str, Any]:
    return Webhook.objects.filter(pk=webhook.pk).values().get()


def test_the_receiver_can_verify_what_it_gets(receiver: WebServer):
    issued = subscribe(f"{receiver.url}/hooks?key=1", events=["task.cancelled"])
    task = create()
    lifecycle.cancel(task.pk, START)
    deliveries.dispatch(START)
    (carrier,) = carriers()

    assert carry(carrier) == {"status": 200}

    (seen,) = receiver.seen
    delivery = WebhookDelivery.objects.get()
    verified = Verifier(issued.secret).verify(seen.body.decode(), seen.headers)
    assert (seen.method, seen.path, seen.headers["content-type"]) == ("POST", "/hooks?key=1", "application/json")
    assert verified["data"]["task"]["id"] == str(task.pk) and seen.body.decode() == delivery.body
    assert seen.headers["webhook-id"] == str(delivery.pk)
    assert delivery.delivered_at is not None and log() == [(1, 200, "")]


def test_while_a_secret_changes_old_and_new_verify_and_later_the_new_one_alone(receiver: WebServer):
    issued = subscribe(receiver.url)
    now = database_clock.now()
    rotated = subscriptions.rotate(issued.webhook.pk, timedelta(hours=1), now)
    task, _ = a_test_of(issued.webhook)

    carry(task)
    Webhook.objects.update(previous_secret_until=now)
    carry(task)

    during, later = receiver.seen
    for secret in (issued.secret, rotated.secret):
        assert Verifier(secret).verify(during.body.decode(), during.headers)["type"] == "webhook.test"
    assert len(during.headers["webhook-signature"].split()) == 2
    assert len(later.headers["webhook-signature"].split()) == 1
    assert Verifier(rotated.secret).verify(later.body.decode(), later.headers)


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_what_is_not_taken_is_sent_again_later_under_the_same_id(receiver: WebServer, status: int):
    receiver.answer("/a", status, b"we are <b>closed</b>\n", Retry_After="17")
    task, delivery = a_test_of(subscribe(f"{receiver.url}/a").webhook)

    with pytest.raises(Retry) as ended:
        carry(task)
    receiver.answer("/a", 204)
    carry(task, attempt=2)

    assert ended.value.delay_seconds == 17
    assert ended.value.reason.startswith(f"127.0.0.1 answered {status} ")
    assert "closed" not in ended.value.reason and "/a" not in ended.value.reason
    first, second = log()
    assert first[:2] == (1, status) and first[2].endswith(": we are <b>closed</b>")
    assert second == (2, 204, "")
    assert {seen.headers["webhook-id"] for seen in receiver.seen} == {str(delivery.pk)}


def test_an_address_that_has_become_private_is_refused_at_the_call():
    webhook = subscribe().webhook
    Webhook.objects.filter(pk=webhook.pk).update(url="http://127.0.0.1:9/")  # as if it was allowed once
    task, delivery = a_test_of(webhook)

    with pytest.raises(Discard, match=r"^127\.0\.0\.1 may not be called\.$"):
        carry(task)

    said = "127.0.0.1 may not be called: 127.0.0.1 is 127.0.0.1, which is not on the public internet"
    assert log() == [(1, None, said)]
    assert WebhookDelivery.objects.get(pk=delivery.pk).delivered_at is None


def test_no_connection_is_a_failed_attempt(receiver: WebServer):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
    task, _ = a_test_of(subscribe(f"http://127.0.0.1:{port}/a?key=1").webhook)

    with pytest.raises(Retry) as ended:
        carry(task)

    assert (ended.value.delay_seconds, ended.value.reason) == (None, "127.0.0.1 did not answer.")
    assert log()[0][:2] == (1, None) and "refused" in log()[0][2]


def test_a_slow_receiver_is_given_up_in_time(receiver: WebServer, settings: Settings):
    settings.DTQ_TASKS = replace(settings.DTQ_TASKS, webhook_timeout=timedelta(seconds=0.2))
    asleep = threading.Event()
    receiver.answers["/"] = lambda exchange: asleep.wait(20)
    task, _ = a_test_of(subscribe(f"{receiver.url}/").webhook)

    with pytest.raises(Retry) as ended:
        carry(task)
    asleep.set()

    assert ended.value.reason == "127.0.0.1 did not answer."
    assert log() == [(1, None, "127.0.0.1 did not answer: no answer in time")]
    assert 200 <= WebhookDelivery.objects.get().tries.get().duration_ms < 5000


def test_an_answer_without_end_is_left_early(receiver: WebServer):
    def stream(exchange: Any) -> None:
        exchange.send_response(200)
        exchange.end_headers()
        while True:
            exchange.wfile.write(b"x" * 10_000)

    receiver.answers["/"] = stream
    task, _ = a_test_of(subscribe(f"{receiver.url}/").webhook)

    assert carry(task) == {"status": 200}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_failure_and_never_followed(receiver: WebServer, status: int):
    receiver.answer("/", status, Location=f"{receiver.url}/inner")
    task, _ = a_test_of(subscribe(f"{receiver.url}/").webhook)

    with pytest.raises(Retry, match=f"127.0.0.1 answered {status}"):
        carry(task)

    assert [seen.path for seen in receiver.seen] == ["/"]
    assert log()[0][2].endswith("redirects are not followed; give the webhook the address itself")


def test_a_name_that_turns_private_is_refused_at_the_moment_of_the_call(
    receiver: WebServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    """What the name stood for when the webhook was made does not count."""
    settings.DTQ_TASKS = replace(settings.DTQ_TASKS, allow_private_addresses=False)
    address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", receiver.port))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [address])
    task, _ = a_test_of(subscribe(f"http://shop.example:{receiver.port}/").webhook)

    with pytest.raises(Discard, match=r"^shop\.example may not be called\.$"):
        carry(task)

    assert receiver.seen == []
    assert "shop.example is 127.0.0.1" in log()[0][2]


def test_a_receiver_that_is_gone_switches_its_webhook_off(receiver: WebServer):
    receiver.answer("/", 410)
    webhook = subscribe(f"{receiver.url}/").webhook
    task, _ = a_test_of(webhook)
    lifecycle.cancel(create().pk, START)
    deliveries.dispatch(START)

    with pytest.raises(Discard, match="answered 410 Gone"):
        carry(task)
    with pytest.raises(Discard, match="switched off"):
        carry(carriers()[-1])

    assert (row(webhook)["active"], row(webhook)["disabled_reason"]) == (
        False,
        "127.0.0.1 answered 410 Gone: it wants nothing more.",
    )
    assert len(receiver.seen) == 1
    again = subscriptions.update(webhook.pk, {"active": True}, START)
    assert (again.active, again.disabled_reason) == (True, "")


def test_a_test_reaches_a_webhook_that_is_off(receiver: WebServer):
    task, _ = a_test_of(subscribe(f"{receiver.url}/", active=False).webhook)

    assert carry(task) == {"status": 200}


def test_nothing_is_sent_for_another_team_for_another_webhook_or_for_none(receiver: WebServer):
    ours, theirs = subscribe(receiver.url), subscribe(receiver.url, team=make_team("others"))
    task, _ = a_test_of(ours.webhook)
    their_task, their_delivery = a_test_of(theirs.webhook)
    second = subscribe(receiver.url)

    for payload in (
        their_task.payload,
        {"delivery": str(their_delivery.pk)},
        {"webhook": str(second.webhook.pk)},
        {"webhook": "none"},
        {"delivery": "none"},
    ):
        with pytest.raises(Discard):
            carry(task, **payload)
    subscriptions.delete(ours.webhook.pk)
    with pytest.raises(Discard, match="may have been deleted"):
        carry(task)

    assert (receiver.seen, log()) == ([], [])


def test_neither_secret_nor_address_gets_into_tasks_logs_and_messages(
    receiver: WebServer, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("DEBUG")
    issued = subscribe(f"{receiver.url}/T0/very-secret?key=hidden")
    rotated = subscriptions.rotate(issued.webhook.pk, timedelta(hours=1), database_clock.now())
    receiver.answer("/T0/very-secret", 500)
    task, delivery = a_test_of(issued.webhook)

    with pytest.raises(Retry) as ended:
        carry(task)

    said = "\n".join([
        str(Task.objects.values().get(pk=task.pk)), delivery.body, str(ended.value), str(log()),
        *(record.getMessage() for record in caplog.records if record.name.startswith("dtq")),
    ])  # fmt: skip
    for secret in (issued.secret, rotated.secret, "very-secret", "hidden"):
        assert secret not in said


# --- once more ------------------------------------------------------------------------------------------------------


def test_what_was_delivered_can_be_delivered_again_under_its_id(receiver: WebServer):
    webhook = subscribe(receiver.url).webhook
    task, delivery = a_test_of(webhook)
    carry(task)
    Task.objects.filter(pk=task.pk).update(status="COMPLETED")

    again = deliveries.redeliver(delivery.pk, webhook, START)
    carry(again)

    assert (again.pk != task.pk, again.payload) == (True, task.payload)
    assert [seen.headers["webhook-id"] for seen in receiver.seen] == [str(delivery.pk)] * 2
    assert WebhookDelivery.objects.get().carrier_id == again.pk


def test_a_dead_letter_is_delivered_again_by_its_own_task():
    webhook = subscribe().webhook
    task, delivery = a_test_of(webhook)
    lifecycle.cancel(task.pk, START)

    again = deliveries.redeliver(delivery.pk, webhook, START)

    assert (again.pk, again.status, len(carriers())) == (task.pk, "QUEUED", 1)


def test_what_is_on_its_way_or_another_webhook_s_is_not_sent_twice():
    webhook, other = subscribe().webhook, subscribe().webhook
    task, delivery = a_test_of(webhook)
    before = Task.objects.values().get(pk=task.pk)

    with pytest.raises(Conflict):
        deliveries.redeliver(delivery.pk, webhook, START)
    with pytest.raises(NotFound):
        deliveries.redeliver(delivery.pk, other, START)

    assert carriers() == [task] and Task.objects.values().get(pk=task.pk) == before
