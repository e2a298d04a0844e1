"""`.enqueue` and its kin: checked at once, handed to the port in one call."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dtq_site.foundation.errors import BadInput
from tasks import PayloadMismatch, task
from tasks.handling import port
from tasks.handling.errors import NotConnected
from tasks.handling.port import EnqueueRequest


@pytest.fixture
def mail():
    @task("mail", queue="mail", max_retries=5)
    def mail(email: str, subject: str = "Hello"): ...

    return mail


def test_enqueue_hands_one_request_to_the_port(mail, submitted):
    assert mail.enqueue(email="a@b.c") == "task-0"
    assert submitted == [[EnqueueRequest("mail", {"email": "a@b.c"})]]


def test_enqueue_many_is_one_call(mail, submitted):
    made = mail.enqueue_many({"email": f"{name}@b.c"} for name in "ab")

    assert made == ["task-0", "task-1"]
    assert submitted == [[EnqueueRequest("mail", {"email": "a@b.c"}), EnqueueRequest("mail", {"email": "b@b.c"})]]


def test_enqueue_many_of_nothing_calls_nobody(mail, submitted):
    assert mail.enqueue_many([]) == []
    assert submitted == []


def test_options_go_with_every_request(mail, submitted):
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    later = mail.options(queue="bulk", priority="LOW", scheduled_at=moment, max_retries=0, timeout_seconds=5)

    later.enqueue(email="a@b.c")
    later.enqueue_many([{"email": "b@b.c"}])
    mail.options(delay_seconds=60, idempotency_key="once").enqueue(email="c@b.c")

    assert submitted == [
        [EnqueueRequest("mail", {"email": "a@b.c"}, "bulk", "LOW", None, moment, None, 0, 5)],
        [EnqueueRequest("mail", {"email": "b@b.c"}, "bulk", "LOW", None, moment, None, 0, 5)],
        [EnqueueRequest("mail", {"email": "c@b.c"}, delay_seconds=60, idempotency_key="once")],
    ]


def test_arguments_may_have_any_name(submitted):
    @task("odd")
    def odd(self, payload, handler): ...

    odd.enqueue(self=1, payload=2, handler=3)

    assert submitted == [[EnqueueRequest("odd", {"self": 1, "payload": 2, "handler": 3})]]


def test_a_payload_that_does_not_fit_is_refused_before_anything_is_written(mail, submitted):
    with pytest.raises(PayloadMismatch) as one:
        mail.enqueue(mail="a@b.c")
    with pytest.raises(PayloadMismatch) as many:
        mail.enqueue_many([{"email": "a@b.c"}, {"email": "b@b.c", "colour": 1}])

    assert one.value.field == "payload.email"
    assert many.value.field == "payloads[1].payload.colour"
    assert submitted == []


def test_one_idempotency_key_cannot_name_several_tasks(mail, submitted):
    keyed = mail.options(idempotency_key="once")

    with pytest.raises(BadInput) as refused:
        keyed.enqueue_many([{"email": "a@b.c"}, {"email": "b@b.c"}])

    assert refused.value.message == "An idempotency key names one task: enqueue these one by one."
    assert submitted == []


def test_the_payload_is_a_copy_of_its_own(mail, submitted):
    payload = {"email": "a@b.c"}
    mail.enqueue_many([payload])

    payload["email"] = "changed"

    assert submitted[0][0].payload == {"email": "a@b.c"}


def test_a_payload_that_cannot_name_its_lock_is_refused_before_anything_is_written(submitted):
    @task("report", lock="report:{account}")
    def report(account: str | None) -> None: ...

    with pytest.raises(PayloadMismatch) as one:
        report.enqueue(account=None)
    with pytest.raises(PayloadMismatch) as second:
        report.enqueue_many([{"account": "ann"}, {"account": None}])

    assert (one.value.field, second.value.field) == ("payload.account", "payloads[1].payload.account")
    assert submitted == []


def test_tasks_of_a_running_handler_go_the_way_of_its_attempt(mail, submitted):
    own: list[EnqueueRequest] = []

    with port.submitting(lambda requests: own.extend(requests) or ["own"]):
        made = mail.enqueue(email="a@b.c")
    mail.enqueue(email="b@b.c")

    assert made == "own"
    assert own == [EnqueueRequest("mail", {"email": "a@b.c"})]
    assert submitted == [[EnqueueRequest("mail", {"email": "b@b.c"})]]


def test_an_unfilled_port_says_what_is_missing(mail):
    with pytest.raises(NotConnected) as refused:
        mail.enqueue(email="a@b.c")

    assert refused.value.message == (
        "This process cannot enqueue: it is neither a server (django.setup()) nor a worker connected to one."
    )
    assert refused.value.code == "NOT_CONNECTED"
