"""`manage.py issue_worker_token ACCOUNT`: keys for remote workers; also to list, rotate and revoke them."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts import registration, worker_tokens
from accounts.models import User
from accounts.roles import Role
from accounts.worker_tokens import Issued
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.errors import DTQError
from dtq_site.foundation.ids import parse_uuid
from dtq_site.foundation.options import parse_duration, show

MOST_LISTED = 1000


class Command(BaseCommand):
    """Issue a worker token. Standard output gets the token alone, so that it can be sent to a file."""

    help = (
        "Issue a token for a remote worker. Nothing but the token goes to standard output: issue_worker_token … > FILE"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to do, and for whom."""
        parser.add_argument("account", nargs="?", help="user name of an account of role worker")
        parser.add_argument("--team", help="make the account, in this team, if there is none of that name")
        parser.add_argument("--name", default="", help="what to call the token; the account's name by default")
        parser.add_argument(
            "--queue", action="append", default=[], help="a queue that it may serve; repeat it for more"
        )
        parser.add_argument("--expires", type=_duration, help="how long it is good, such as 30d; 90d by default")
        instead = parser.add_mutually_exclusive_group()
        instead.add_argument("--rotate", metavar="ID", help="instead: issue a token in the place of that one")
        instead.add_argument("--revoke", metavar="ID", help="instead: refuse that token from now on")
        instead.add_argument("--list", action="store_true", help="instead: show the tokens that were issued")
        overlap = timedelta(days=1)
        parser.add_argument(
            "--overlap", type=_duration, default=overlap, help="how long a rotated token is good yet; 1d by default"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what was asked for; a refusal is a CommandError."""
        try:
            if options["list"]:
                self._list()
            elif options["revoke"]:
                token = worker_tokens.revoke(_id(options["revoke"]))
                self.stderr.write(f"{token.name} ({token.pk}) is refused from now on.")
            elif options["rotate"]:
                self._show(worker_tokens.rotate(_id(options["rotate"]), options["overlap"]))
            else:
                self._show(self._issue(**options))
        except DTQError as error:
            raise CommandError(error.message) from None

    def _issue(
        self,
        *,
        account: str | None,
        team: str | None,
        name: str,
        queue: list[str],
        expires: timedelta | None,
        **_: Any,
    ) -> Issued:
        if account is None:
            raise CommandError("Name the account: issue_worker_token ACCOUNT, with --team TEAM if it is a new one.")
        expires_at = database_clock.now() + expires if expires else None
        with transaction.atomic():
            return worker_tokens.issue(_account(account, team), name=name, queues=queue, expires_at=expires_at)

    def _show(self, issued: Issued) -> None:
        token = issued.token
        queues = ", ".join(token.queues) or "all queues"
        self.stdout.write(issued.secret)
        self.stderr.write(
            f"{token.name} ({token.pk}): for {token.account.username}, {queues}, until {token.expires_at:%Y-%m-%d %H:%M} UTC."
        )

    def _list(self) -> None:
        now = database_clock.now()
        for token in worker_tokens.issued(MOST_LISTED, 0):
            state = "revoked" if token.revoked_at else "expired" if token.expires_at <= now else "good"
            left = f" for {show(timedelta(days=(token.expires_at - now).days))}" if state == "good" else ""
            used = f"{token.last_used_at:%Y-%m-%d %H:%M}" if token.last_used_at else "never"
            self.stdout.write(f"{token.pk}  {token.account.username}  {token.name}  {state}{left}  used: {used}")


def _account(username: str, team: str | None) -> User:
    user = User.objects.select_related("team").filter(username=username.lower()).first()
    if user is not None:
        return user
    if team is None:
        raise CommandError(f"There is no account {username!r}; to make it, name its team: --team TEAM")
    return registration.create_user(
        username=username,
        email=f"{username}@workers.invalid",
        password=None,
        role=Role.WORKER,
        team=registration.team_named(team),
    )


def _duration(text: str) -> timedelta:
    return parse_duration(text)


def _id(text: str) -> Any:
    found = parse_uuid(text)
    if found is None:
        raise CommandError(f"{text!r} is no token's id; see issue_worker_token --list.")
    return found
