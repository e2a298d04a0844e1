"""Worker tokens: what they open, for how long, and what is kept of them."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import authentication, registration, worker_tokens
from accounts.identity import WorkerGrant
from accounts.models import WorkerToken
from accounts.roles import Role
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.errors import BadInput, Unauthenticated
from tests.integration.accounts.issuing import account, issue, rows
from tests.integration.accounts.making import audited, edit, make_user, sign_in
from tests.support.factories import ManualClock

pytestmark = pytest.mark.usefixtures("committed_db")

REGISTER = 'mutation { registerWorker(input: {handlers: ["job"], queues: ["mail"]}) { name queues } }'


def post(query: str, token: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    return Client().post("/graphql", json.dumps({"query": query}), "application/json", headers=headers).json()


def code_of(answer: dict[str, Any]) -> str:
    return answer["errors"][0]["extensions"]["code"]


# --- what is kept --------------------------------------------------------------------------------------------------


def test_a_token_is_256_random_bits_of_which_the_digest_alone_is_kept():
    one, other = issue(), issue(account("ship"))

    assert one.secret.startswith("dtqw_")
    assert len(one.secret) == len("dtqw_") + 43
    assert one.secret != other.secret
    assert one.token.digest == hashlib.sha256(one.secret.encode()).hexdigest()
    assert one.secret.removeprefix("dtqw_") not in json.dumps(rows(), default=str) + str(audited())


def test_issuing_and_revoking_are_in_the_audit_log():
    boat = account()
    token = issue(boat, queues=["mail"]).token

    worker_tokens.revoke(token.pk)
    worker_tokens.revoke(token.pk)

    assert audited()[-2:] == [
        (
            "",
            "worker_token.issued",
            f"worker_token:{token.pk}",
            {"name": "laptop", "account": "boat", "queues": ["mail"]},
        ),
        ("", "worker_token.revoked", f"worker_token:{token.pk}", {"name": "laptop"}),
    ]


@pytest.mark.parametrize("role", [Role.ADMIN, Role.USER, Role.VIEWER])
def test_only_an_account_of_a_worker_can_have_one(role: Role):
    user = make_user("ann", role=role)

    with pytest.raises(BadInput) as refusal:
        issue(user)

    assert (refusal.value.field, rows()) == ("account", [])


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"queues": [f"q{n}" for n in range(101)]}, "queues"),
        ({"queues": ["x" * 65]}, "queues"),
        ({"name": "x" * 201}, "name"),
        ({"expires_at": database_clock}, "expiresAt"),
    ],
)
def test_what_is_too_much_is_refused(options: dict[str, Any], field: str):
    boat = account()
    if "expires_at" in options:
        options = {"expires_at": database_clock.now()}

    with pytest.raises(BadInput) as refusal:
        issue(boat, **options)

    assert (refusal.value.field, rows()) == (field, [])


# --- what it opens -------------------------------------------------------------------------------------------------


def test_it_opens_the_operations_for_workers_for_its_account_and_queues():
    boat = account()
    issued = issue(boat, queues=["mail", "web"])

    identity = worker_tokens.identify(issued.secret)

    assert (identity.user_id, identity.role, identity.team_id) == (boat.id, Role.WORKER, boat.team_id)
    assert identity.grant == WorkerGrant(issued.token.pk, frozenset({"mail", "web"}))
    assert post(REGISTER, issued.secret) == {"data": {"registerWorker": {"name": "boat", "queues": ["mail"]}}}


@pytest.mark.parametrize(
    "query",
    [
        "{ me { id } }",
        "{ tasks { id } }",
        "{ workers { id } }",
        'mutation { createTask(input: {name: "job"}) { id } }',
        'mutation { changePassword(current: "a", new: "b") }',
        "{ workerTokens { id } }",
    ],
)
def test_it_opens_nothing_else(query: str):
    assert code_of(post(query, issue().secret)) == "FORBIDDEN"


def test_it_does_not_end_the_sessions_of_its_account():
    boat = account()
    session = sign_in("boat").access_token

    assert code_of(post("mutation { logout }", issue(boat).secret)) == "UNAUTHENTICATED"
    assert authentication.identity_from_token(session).user_id == boat.id


@pytest.mark.parametrize("text", ["dtqw_", "dtqw_" + "A" * 43, "dtqw_\ud800"])
def test_what_nobody_has_issued_opens_nothing(text: str):
    issue()

    with pytest.raises(Unauthenticated):
        worker_tokens.identify(text)


def test_the_digest_is_no_token():
    with pytest.raises(Unauthenticated):
        worker_tokens.identify("dtqw_" + issue().token.digest)


def test_it_holds_until_it_expires():
    clock = ManualClock()
    issued = issue(expires_at=clock.now() + timedelta(days=2), clock=clock)

    clock.advance(2 * 86_400 - 1)
    assert worker_tokens.identify(issued.secret, clock).username == "boat"

    clock.advance(1)
    with pytest.raises(Unauthenticated, match="expired; ask an administrator"):
        worker_tokens.identify(issued.secret, clock)


def test_a_revoked_one_is_refused_at_once():
    issued = issue()
    assert "data" in post(REGISTER, issued.secret)

    worker_tokens.revoke(issued.token.pk)

    answer = post(REGISTER, issued.secret)
    assert code_of(answer) == "UNAUTHENTICATED"
    assert "was revoked; ask an administrator" in answer["errors"][0]["message"]


@pytest.mark.parametrize("change", [{"is_active": False}, {"role": Role.USER}])
def test_it_holds_no_longer_than_its_account_is_a_worker_s(change: dict[str, Any]):
    boat = account()
    issued = issue(boat)

    edit(boat, **change)

    with pytest.raises(Unauthenticated, match="no worker's any more"):
        worker_tokens.identify(issued.secret)


def test_it_follows_its_account_to_another_team():
    boat = account()
    issued = issue(boat)

    edit(boat, team=registration.team_named("other"))

    assert worker_tokens.identify(issued.secret).team_id == registration.team_named("other").pk


def test_its_use_is_noted_once_a_minute():
    clock = ManualClock()
    issued = issue(clock=clock)
    noted = []
    for seconds in (0, 30, 29, 1, 59):
        clock.advance(seconds)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            worker_tokens.identify(issued.secret, clock)
        noted.append(any(query["sql"].startswith("UPDATE") for query in queries))

    assert noted == [True, False, False, True, False]
    assert WorkerToken.objects.get().last_used_at == clock.now() - timedelta(seconds=59)
