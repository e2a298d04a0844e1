"""Payloads become keyword arguments, or an error that says what is wrong with them."""

from __future__ import annotations

import pytest

from tasks import PayloadMismatch, task


@task("payload-test:mail")
def mail(email: str, subject: str = "Hello", *, urgent: bool = False): ...


@task("payload-test:typed")
def typed(type: str): ...


@task("payload-test:anything", takes_context=True)
def anything(context, **values): ...


@task("payload-test:shielded", takes_context=True)
def shielded(context, /, **values): ...


@task("payload-test:mixed")
def mixed(a, **rest): ...


@task("payload-test:nothing")
def nothing(): ...


@pytest.mark.parametrize(
    ("handler", "payload", "arguments"),
    [
        (mail, {"email": "a@b.c"}, {"email": "a@b.c"}),
        (mail, {"email": "a@b.c", "urgent": True}, {"email": "a@b.c", "urgent": True}),
        (mail, {"type": "payload-test:mail", "email": "a@b.c"}, {"email": "a@b.c"}),
        (mail, {"type": " payload-test:mail\n", "email": "a@b.c"}, {"email": "a@b.c"}),
        (typed, {"type": "payload-test:typed"}, {"type": "payload-test:typed"}),
        (typed, {"type": "other"}, {"type": "other"}),
        (anything, {}, {}),
        (anything, {"not an identifier": 1, "type": "other"}, {"not an identifier": 1, "type": "other"}),
        (anything, {"type": "payload-test:anything", "a": 1}, {"a": 1}),
        (shielded, {"context": 1}, {"context": 1}),
        (nothing, {}, {}),
    ],
)
def test_a_payload_that_fits(handler, payload, arguments):
    before = dict(payload)

    assert handler.bind(payload) == arguments
    assert payload == before


@pytest.mark.parametrize(
    ("handler", "payload", "field", "message"),
    [
        (mail, {}, "payload.email",
         "payload-test:mail cannot run with this payload: it lacks 'email'. "
         "payload-test:mail takes 'email', 'subject', 'urgent'."),
        (mail, {"email": "a@b.c", "colour": 1, "size": 2}, "payload.colour",
         "payload-test:mail cannot run with this payload: it has 'colour', 'size', not expected. "
         "payload-test:mail takes 'email', 'subject', 'urgent'."),
        (mail, {"e-mail": "a@b.c"}, "payload.email",
         "payload-test:mail cannot run with this payload: it lacks 'email'; it has 'e-mail', not expected. "
         "payload-test:mail takes 'email', 'subject', 'urgent'."),
        (mail, {"email": "a@b.c", "type": "other"}, "payload.type",
         "payload-test:mail cannot run with this payload: it has 'type', not expected. "
         "payload-test:mail takes 'email', 'subject', 'urgent'."),
        (anything, {"context": 1}, "payload.context",
         "payload-test:anything cannot run with this payload: it has 'context', not expected. "
         "payload-test:anything takes any arguments, but not 'context'."),
        (mixed, {}, "payload.a",
         "payload-test:mixed cannot run with this payload: it lacks 'a'. "
         "payload-test:mixed takes 'a' and any others."),
        (nothing, {"a": 1}, "payload.a",
         "payload-test:nothing cannot run with this payload: it has 'a', not expected. "
         "payload-test:nothing takes no arguments."),
        (mail, ["a@b.c"], "payload",
         "payload-test:mail cannot run: its payload must be an object, whose keys are the arguments."),
    ],
)  # fmt: skip
def test_a_payload_that_does_not_fit(handler, payload, field, message):
    with pytest.raises(PayloadMismatch) as refused:
        handler.bind(payload)

    assert refused.value.message == message
    assert refused.value.field == field
    assert refused.value.code == "BAD_USER_INPUT"
