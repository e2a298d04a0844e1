"""Signatures of webhooks, judged by a published example and by a verifier that is not ours."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tasks.domain import signatures

BODY = b'{"test": 2432232314}'
KEY = bytes(range(32))


def test_the_published_example_comes_out():
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

    made = signatures.headers([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, BODY)

    assert made == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_secret_is_its_key_in_a_form_that_tells_what_it_is():
    secret = signatures.as_secret(KEY)

    assert secret.startswith("whsec_") and base64.b64decode(secret[6:]) == KEY


def test_while_a_secret_changes_both_verify_and_a_third_does_not():
    new, old, other = (signatures.as_secret(bytes([number]) * 32) for number in (1, 2, 3))
    now = int(datetime.now(UTC).timestamp())

    made = signatures.headers([new, old], "a", now, BODY)

    assert [Webhook(secret).verify(BODY.decode(), made) for secret in (new, old)] == [{"test": 2432232314}] * 2
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(BODY.decode(), made)


@pytest.mark.parametrize(
    "altered",
    [
        {"webhook-id": "b"},
        {"webhook-timestamp": str(int(datetime.now(UTC).timestamp()) - 1)},
        {"webhook-signature": "v1,AAAA"},
    ],
)
def test_what_is_signed_cannot_be_altered(altered: dict[str, str]):
    secret = signatures.as_secret(KEY)
    made = signatures.headers([secret], "a", int(datetime.now(UTC).timestamp()), BODY)

    assert Webhook(secret).verify(BODY.decode(), made)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY.decode(), made | altered)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY.decode() + " ", made)
