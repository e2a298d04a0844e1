"""`manage.py enqueue NAME`: create a task in the team ``default`` and, if asked to, follow it to its end."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from accounts.registration import DEFAULT_TEAM, team_named
from dtq_site.foundation.database import database_clock
from dtq_site.terminal.edge import INTERRUPTED, REFUSED, error_line, moment, refusals, seconds, while_somebody_reads
from dtq_site.terminal.following import Deleted, follow, teller_on
from tasks.domain.states import TaskStatus
from tasks.domain.submission import Request, resolve_name
from tasks.handling import registry
from tasks.submission import Owner, submit_one
from workers import selectors as workers

ENDED_OTHERWISE, UNKNOWN_END = 1, 3


class Command(BaseCommand):
    """Prints the task's id; with `--watch` its states, progress and log lines too."""

    help = (
        "Create a task in the team 'default' and print its id. Ends with 0; with 2 if it was refused. With --watch: 0 if the "
        "task is COMPLETED, 1 if it ended otherwise, 3 if its end cannot be told, 130 after Ctrl-C, which leaves it running."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what describes the task."""
        parser.add_argument("name", help="the handler that is to run")
        parser.add_argument(
            "--payload",
            default="{}",
            metavar="JSON",
            help="an object: the handler's arguments; @FILE reads it from a file, - from standard input",
        )
        parser.add_argument("--queue", help="the queue in which it is to wait")
        parser.add_argument("--priority", help="a number from -100 to 100, or LOW, NORMAL, HIGH or CRITICAL")
        when = parser.add_mutually_exclusive_group()
        when.add_argument("--delay", type=seconds, metavar="SECONDS", help="how long it is not to run; 15m is good too")
        when.add_argument("--at", type=moment, metavar="MOMENT", help="not before then: ISO 8601, UTC without a zone")
        parser.add_argument("--key", help="an idempotency key: the same one again names the first task")
        parser.add_argument("--title", help="what people call it")
        parser.add_argument("--description", metavar="TEXT", help="what people say about it")
        parser.add_argument("--max-retries", type=int, metavar="N", help="how many attempts may follow a failed one")
        parser.add_argument("--timeout", type=seconds, metavar="SECONDS", help="the time limit of one attempt")
        parser.add_argument(
            "--after", action="append", metavar="ID", help="a task that must be COMPLETED first; repeat it for more"
        )
        parser.add_argument(
            "--any-name", action="store_true", help="create it although no worker has announced a handler of that name"
        )
        parser.add_argument("--watch", action="store_true", help="follow it to its end")

    def handle(self, *args: Any, **options: Any) -> None:
        """Create it. Raises CommandError, of one line, if that is refused."""
        with refusals():
            request = _request(options)
            is_online = self._check_handler(request, any_name=options["any_name"])
            task = submit_one(request, Owner(team_named(DEFAULT_TEAM).pk, None))
        self.stdout.write(str(task.pk))
        if not is_online:
            self.stderr.write(f"No online worker knows the handler {task.name!r}; the task waits for one that does.")
        if options["watch"]:
            self._watch(task.pk)

    def _check_handler(self, request: Request, *, any_name: bool) -> bool:
        """Whether a worker that is online, or this installation's code, has the handler. Raises CommandError if none ever had."""
        name = resolve_name(request)
        online = {known for _, names in workers.online_handlers(database_clock.now()) for known in names}
        online |= set(registry.registered())
        remembered = online.union(*(worker.handlers for worker in workers.latest_heard()))
        if name not in remembered and not any_name:
            near = difflib.get_close_matches(name, remembered, n=1)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            raise CommandError(
                f"Nobody knows a handler {name!r}.{meant} --any-name creates the task all the same.", returncode=REFUSED
            )
        return name in online

    def _watch(self, task_id: UUID) -> None:
        try:
            with while_somebody_reads(UNKNOWN_END), teller_on(self.stdout) as teller:
                ended = follow(task_id, teller)
        except KeyboardInterrupt:
            self.stderr.write(f"Nobody watches any more; the task goes on: manage.py tasks show {task_id}")
            raise SystemExit(INTERRUPTED) from None
        except Deleted:
            raise CommandError("The task was deleted.", returncode=UNKNOWN_END) from None
        except DatabaseError as error:
            said = f"Nobody can watch any more: {error_line(error)}. The task goes on."
            raise CommandError(said, returncode=UNKNOWN_END) from None
        if ended != TaskStatus.COMPLETED:
            raise SystemExit(ENDED_OTHERWISE)


def _request(options: Mapping[str, Any]) -> Request:
    return Request(
        name=options["name"],
        payload=_payload(options["payload"]),
        queue=options["queue"],
        priority=options["priority"],
        delay_seconds=options["delay"],
        scheduled_at=options["at"],
        idempotency_key=options["key"],
        title=options["title"],
        description=options["description"],
        max_retries=options["max_retries"],
        timeout_seconds=options["timeout"],
        depends_on=options["after"],
    )


def _payload(said: str) -> Any:
    source = "standard input" if said == "-" else said.removeprefix("@") if said.startswith("@") else "--payload"
    try:
        text = sys.stdin.read() if said == "-" else Path(source).read_text("utf-8") if said.startswith("@") else said
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{source} cannot be read: {error}.", returncode=REFUSED) from None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{source} is no JSON: {error}.", returncode=REFUSED) from None
