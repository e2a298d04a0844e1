"""What happens to one task, told as it happens: its states, its progress, its log."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connection
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from dtq_site.foundation.connections import give_up, is_unavailable
from dtq_site.terminal.edge import end_in_order_on_sigterm, harmless
from tasks import selectors
from tasks.domain.states import TERMINAL, TaskStatus
from tasks.models import Task

LOOK_EVERY_SECONDS = 0.2


class Deleted(Exception):
    """The task is gone, so that nobody can tell what became of it."""


class Teller(Protocol):
    """Says what a follower sees."""

    def say(self, text: str) -> None:
        """Show a line."""

    def show_progress(self, status: str, per_cent: int | None) -> None:
        """Show how far the task is; called at every look."""


def follow(task_id: UUID, teller: Teller) -> str:
    """Tell what happens to the task until it has ended; returns the state in which it did. Raises Deleted.

    While the database is away it waits for it to come back, and says so.
    """
    shown, last_line, is_away = None, 0, False
    while True:
        try:
            task = Task.objects.filter(pk=task_id).first()
            lines = selectors.log_lines_after(task_id, last_line)
        except (DatabaseError, InterfaceError) as error:
            if not is_unavailable(error):
                raise
            give_up(connection)
            if not is_away:
                teller.say("The database is away; waiting for it.")
            is_away = True
            time.sleep(LOOK_EVERY_SECONDS)
            continue
        if task is None:
            raise Deleted
        is_away, ended, state = False, task.status in TERMINAL, (task.status, task.attempts)
        if state != shown and not ended:
            teller.say(_told(task))
        for line in lines:
            teller.say(f"  {line.level}: {line.message}")
            last_line = line.pk
        if ended:
            teller.say(_told(task))
            return task.status
        teller.show_progress(task.status, task.progress)
        shown = state
        time.sleep(LOOK_EVERY_SECONDS)


def _told(task: Task) -> str:
    if task.status == TaskStatus.PROCESSING:
        return f"{task.status}, attempt {task.attempts}"
    if task.status == TaskStatus.COMPLETED:
        return f"{task.status}: {json.dumps(task.result, ensure_ascii=False)}"
    return f"{task.status}: {task.error}" if task.error else str(task.status)


class _Lines:
    """Lines alone, for a file, a pipe or a log."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._per_cent: int | None = None

    def say(self, text: str) -> None:
        self._out.write(f"{harmless(text)}\n")
        self._out.flush()

    def show_progress(self, status: str, per_cent: int | None) -> None:
        if per_cent is not None and per_cent != self._per_cent:
            self.say(f"  {per_cent} %")
        self._per_cent = per_cent


class _Bar:
    """Lines above a bar, for a terminal."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._row = bar.add_task("", total=None)

    def say(self, text: str) -> None:
        self._bar.console.print(Text(harmless(text)), soft_wrap=True)  # no markup, whatever it looks like

    def show_progress(self, status: str, per_cent: int | None) -> None:
        self._bar.update(
            self._row, description=status, total=None if per_cent is None else 100, completed=per_cent or 0
        )


@contextmanager
def teller_on(out: TextIO) -> Iterator[Teller]:
    """A teller that writes there; on a terminal it draws a bar, which is gone in the end."""
    if not out.isatty():
        yield _Lines(out)
        return
    end_in_order_on_sigterm()
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=sys.stdout), transient=True) as bar:
        yield _Bar(bar)
