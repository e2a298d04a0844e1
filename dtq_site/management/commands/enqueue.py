"""`manage.py enqueue NAME`: create a task in the team ``default`` and, if asked to, follow it to its end."""

from __future__ import annotations

import json
import time
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.registration import team_named
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.errors import DTQError
from tasks import selectors
from tasks.domain.states import TERMINAL, TaskStatus
from tasks.domain.submission import Request
from tasks.handling import registry
from tasks.models import Task
from tasks.submission import DEFAULT_TEAM, Owner, submit_one
from workers import selectors as workers

LOOK_EVERY_SECONDS = 0.2


class Command(BaseCommand):
    """Prints the task's id; with `--watch` its states and log lines too, and ends with 0 if it is COMPLETED, else with 1."""

    help = "Create a task in the team 'default' and print its id."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what describes the task."""
        parser.add_argument("name", help="the handler that is to run")
        parser.add_argument("--payload", default="{}", metavar="JSON", help="an object: the handler's arguments")
        parser.add_argument("--queue", help="the queue in which it is to wait")
        parser.add_argument("--priority", help="a number from -100 to 100, or LOW, NORMAL, HIGH or CRITICAL")
        parser.add_argument("--delay", type=float, metavar="SECONDS", help="how long it is not to run")
        parser.add_argument("--key", help="an idempotency key: the same one again names the first task")
        parser.add_argument("--title", help="what people call it")
        parser.add_argument("--watch", action="store_true", help="follow it to its end")

    def handle(self, *args: Any, **options: Any) -> None:
        """Create it. Raises CommandError, of one line, if that is refused."""
        request = Request(
            name=options["name"],
            payload=_payload(options["payload"]),
            queue=options["queue"],
            priority=options["priority"],
            delay_seconds=options["delay"],
            idempotency_key=options["key"],
            title=options["title"],
        )
        try:
            task = submit_one(request, Owner(team_named(DEFAULT_TEAM).pk, None))
        except DTQError as error:
            raise CommandError(error.message) from None
        self.stdout.write(str(task.pk))
        known = any(task.name in names for _, names in workers.online_handlers(database_clock.now()))
        if not known and registry.lookup(task.name) is None:
            self.stderr.write(f"No online worker knows the handler {task.name!r}; the task waits for one that does.")
        if options["watch"]:
            self._watch(task.pk)

    def _watch(self, task_id: UUID) -> None:
        try:
            ended = self._follow(task_id)
        except KeyboardInterrupt:
            self._say("Nobody watches any more; the task goes on.")
            raise SystemExit(130) from None
        if ended != TaskStatus.COMPLETED:
            raise SystemExit(1)

    def _follow(self, task_id: UUID) -> str:
        """Show what happens to the task until it has ended; returns the state in which it did."""
        shown, last_line = None, 0
        while True:
            task = Task.objects.filter(pk=task_id).first()
            if task is None:
                raise CommandError("The task was deleted.")
            ended, state = task.status in TERMINAL, (task.status, task.attempts)
            if state != shown and not ended:
                self._say(_told(task))
            for line in selectors.log_lines_after(task_id, last_line):
                self._say(f"  {line.level}: {line.message}")
                last_line = line.pk
            if ended:
                self._say(_told(task))
                return task.status
            shown = state
            time.sleep(LOOK_EVERY_SECONDS)

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _payload(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise CommandError(f"--payload is no JSON: {error}.") from None


def _told(task: Task) -> str:
    if task.status == TaskStatus.PROCESSING:
        return f"{task.status}, attempt {task.attempts}"
    if task.status == TaskStatus.COMPLETED:
        return f"{task.status}: {json.dumps(task.result, ensure_ascii=False)}"
    return f"{task.status}: {task.error}" if task.error else str(task.status)
