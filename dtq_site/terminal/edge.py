"""Who acts at the server's terminal, what is read from its arguments, and how it is answered: a refusal by one line and exit code
2, and never with characters that would steer the terminal.
"""

from __future__ import annotations

import os
import pwd
import re
import signal
import sys
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import NoReturn
from uuid import UUID

from django.core.management.base import CommandError
from django.db import DatabaseError, InterfaceError

from accounts.identity import Identity
from accounts.roles import Role
from dtq_site.foundation.errors import BadInput, DTQError, NotFound
from dtq_site.foundation.ids import parse_uuid
from dtq_site.foundation.options import parse_duration
from dtq_site.foundation.scalars import DateTime
from tasks import selectors
from tasks.models import Task

REFUSED = 2
INTERRUPTED = 130
NO_TEAM = UUID(int=0)


@contextmanager
def refusals() -> Iterator[None]:
    """What is wrong with a command, or with its database, is a CommandError of one line; Ctrl-C ends it without a word."""
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except DTQError as error:
        field = f"{error.field}: " if error.field and error.field not in error.message else ""
        raise CommandError(f"{field}{error.message}", returncode=REFUSED) from None
    except (DatabaseError, InterfaceError) as error:
        remedy = "Does it run, and has `manage.py migrate` made its tables?"
        raise CommandError(f"The database refuses: {error_line(error)}. {remedy}", returncode=REFUSED) from None


@contextmanager
def while_somebody_reads(code: int = 0) -> Iterator[None]:
    """End quietly, with that exit code, when whoever reads the output, such as `head`, has seen enough."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where the rest goes when Python ends
        raise SystemExit(code) from None


def end_in_order_on_sigterm() -> None:
    """Have SIGTERM end this process the way in which `with` and `finally` put the terminal back."""
    signal.signal(signal.SIGTERM, _end)


def _end(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)


def harmless(text: str) -> str:
    """The text with what would steer a terminal, or turn the direction of writing, spelt out as JSON spells it.

    Handlers, and whoever creates tasks, choose names, errors and log lines.
    """
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def error_line(error: Exception) -> str:
    """The first line of what a database driver says, without its number."""
    said = str(error.args[-1] if error.args else error).strip() or type(error).__name__
    return said.splitlines()[0].rstrip(".")


def operator() -> Identity:
    """Whoever runs the command: the system's user, who may do what an admin may. The audit log calls ``ann`` ``cli:ann``."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run as a user that it has no name for
        name = str(os.getuid())
    return Identity(None, f"cli:{name}", Role.ADMIN, NO_TEAM)


def task_named(text: str, identity: Identity) -> Task:
    """The task with that id. Raises NotFound."""
    task_id = parse_uuid(text)
    found = None if task_id is None else selectors.task(task_id, identity)
    if found is None:
        raise NotFound(f"There is no task {text!r}; an id is a UUID, and `manage.py tasks list` shows those of tasks.")
    return found


def moment(text: str) -> datetime:
    """An argument that is a moment."""
    try:
        return DateTime.parse_value(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def seconds(text: str) -> float:
    """An argument that is a length of time: a number of seconds, or ``15m`` and the like."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return parse_duration(text).total_seconds()
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no length of time: {error}") from None


def uuid_of(text: str, what: str) -> UUID:
    """An id that an option names. Raises BadInput."""
    found = parse_uuid(text)
    if found is None:
        raise BadInput(f"{text!r} is no id of a {what}.")
    return found


def shown_moment(value: datetime | None) -> str:
    """A moment for people, in UTC."""
    return "" if value is None else f"{value:%Y-%m-%d %H:%M:%S}"


def shown_seconds(value: float) -> str:
    """A length of time for people, as short as it can be read."""
    if value < 1:
        return f"{value * 1000:.0f}ms"
    if value < 10:
        return f"{value:.1f}s"
    whole = round(value)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60:02}m"
    return f"{whole // 86400}d {whole % 86400 // 3600:02}h"
