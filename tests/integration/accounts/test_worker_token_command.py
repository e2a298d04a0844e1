"""The command that issues, lists, rotates and revokes worker tokens."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command

from accounts import registration, worker_tokens
from accounts.models import User, WorkerToken
from accounts.roles import Role
from tests.integration.accounts.issuing import account, issue, rows
from tests.integration.accounts.making import make_user

pytestmark = pytest.mark.usefixtures("committed_db")


def run(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("issue_worker_token", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_the_command_writes_the_token_alone_to_standard_output():
    boat = account()

    out, err = run("boat", "--name", "laptop", "--queue", "mail", "--queue", "web", "--expires", "30d")

    (token,) = WorkerToken.objects.all()
    assert worker_tokens.identify(out.strip()).user_id == boat.id
    assert (token.name, token.queues) == ("laptop", ["mail", "web"])
    assert token.expires_at - token.issued_at == pytest.approx(timedelta(days=30), abs=timedelta(seconds=5))
    assert out.strip() not in err
    assert f"laptop ({token.pk}): for boat, mail, web, until" in err


def test_the_command_makes_the_account_in_the_team_that_is_named():
    out, _ = run("Ferry", "--team", "ships")

    identity = worker_tokens.identify(out.strip())
    assert (identity.username, identity.role) == ("ferry", Role.WORKER)
    assert identity.team_id == registration.team_named("ships").pk


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Name the account"),
        (["nobody"], "There is no account 'nobody'"),
        (["ann"], "role user, not worker"),
        (["--revoke", "x"], "no token's id"),
        (["--revoke", str(UUID(int=1))], "no such worker token"),
    ],
)
def test_the_command_says_what_is_wrong_and_writes_nothing(arguments: list[str], said: str):
    make_user("ann")
    users = User.objects.count()

    with pytest.raises(CommandError, match=said):
        run(*arguments)

    assert (rows(), User.objects.count()) == ([], users)


def test_the_command_lists_rotates_and_revokes():
    token = issue().token

    out, _ = run("--rotate", str(token.pk), "--overlap", "1h")
    run("--revoke", str(token.pk))
    assert worker_tokens.identify(out.strip()).username == "boat"
    listed, _ = run("--list")

    fresh, old = listed.splitlines()
    assert f"{token.pk}  boat  laptop  revoked  used: never" == old
    assert "good for 89d" in fresh
    assert "used: 20" in fresh
