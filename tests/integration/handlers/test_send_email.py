"""`send-email` through Django's mail."""

from __future__ import annotations

import pytest
from django.core import mail

from tasks import Discard
from tasks.handlers import send_email


def sent() -> list[tuple[list[str], str, str]]:
    return [(message.to, message.subject, message.body) for message in mail.outbox]


def test_an_address_alone_is_enough(mailoutbox):
    assert send_email(email="user@example.com") == {"sent": 1, "recipients": ["user@example.com"]}

    assert sent() == [(["user@example.com"], "A message from DTQ", "")]
    assert mailoutbox[0].from_email == "dtq@localhost"


def test_each_recipient_gets_a_message_of_its_own(mailoutbox):
    result = send_email(
        email="a@example.com",
        recipients=["b@example.com", "a@example.com", "c@example.com"],
        subject="Hi",
        body="there",
    )

    assert result == {"sent": 3, "recipients": ["a@example.com", "b@example.com", "c@example.com"]}
    assert sent() == [([f"{name}@example.com"], "Hi", "there") for name in "abc"]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({}, "send-email needs an address: give email, or a list recipients."),
        ({"recipients": []}, "send-email needs an address: give email, or a list recipients."),
        ({"email": "nobody"}, "'nobody' is no e-mail address."),
        ({"email": 5}, "5 is no e-mail address."),
        ({"recipients": ["a@example.com", None]}, "None is no e-mail address."),
        ({"recipients": ["a@example.com", "b@example.com\nBcc: c@example.com"]},
         r"'b@example.com\nBcc: c@example.com' is no e-mail address."),
        ({"email": "a@example.com", "subject": "Hi\nBcc: c@example.com"}, "The subject of a mail is one line."),
        ({"email": "a@example.com", "subject": 5}, "send-email: subject and body must be text."),
        ({"email": "a@example.com", "body": None}, "send-email: subject and body must be text."),
    ],
)  # fmt: skip
def test_bad_mails_are_discarded_and_nobody_gets_one(mailoutbox, payload, reason):
    with pytest.raises(Discard) as ended:
        send_email(**payload)

    assert ended.value.reason == reason
    assert mailoutbox == []


def test_the_payloads_of_the_documentation_fit():
    assert send_email.bind({"email": "user@example.com"}) == {"email": "user@example.com"}
    assert send_email.bind({"type": "send-email", "recipients": ["a@b.c"]}) == {"recipients": ["a@b.c"]}
    assert send_email.declaration.queue is None
