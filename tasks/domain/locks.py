"""Locks as values and rules: how a handler's template becomes a lock's name, and what an attempt to take one is answered.

A lock's name is one for the whole installation, and is compared byte by byte.
"""

from __future__ import annotations

import functools
import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from dtq_site.foundation.errors import BadInput

MAX_LOCK_NAME = 255
FORGOTTEN_AFTER = timedelta(days=1)
"""How long a lock is remembered that nobody takes."""


@dataclass(frozen=True)
class Holder:
    """The attempt that holds a lock: a task and the fencing token of its claim."""

    task_id: UUID
    fencing_token: int


class LockVerdict(StrEnum):
    """The answer to an attempt that wants a lock. LOST: the attempt is over, so that it may take none."""

    TAKEN = "TAKEN"
    BUSY = "BUSY"
    LOST = "LOST"


@dataclass(frozen=True)
class LockAnswer:
    """The verdict, and the fencing number of a lock that was taken."""

    verdict: LockVerdict
    fencing_number: int = 0


def check_lock_name(name: str) -> str:
    """The lock's name, if it may be one. Raises BadInput."""
    if not 0 < len(name) <= MAX_LOCK_NAME:
        raise BadInput(f"A lock's name must have 1 to {MAX_LOCK_NAME} characters, not {len(name):,}.", field="lock")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise BadInput(
            "A lock's name contains half of a surrogate pair, which is no character.", field="lock"
        ) from None
    if "\0" in name:
        raise BadInput("A lock's name contains the character NUL; remove it.", field="lock")
    return name


def check_lock_template(template: str) -> str:
    """The template, if it may be one: a lock's name in which ``{key}`` stands for a value of the payload. Raises BadInput."""
    _parts(check_lock_name(template))
    return template


def keys_of(template: str) -> list[str]:
    """The payload's keys that a checked template names."""
    return [key for _, key in _parts(template) if key is not None]


def fill(template: str, payload: Mapping[str, Any]) -> str:
    """The lock's name for a payload. Raises BadInput, naming the key of the payload that is to blame."""
    filled = "".join(
        literal + ("" if key is None else _value(template, key, payload)) for literal, key in _parts(template)
    )
    try:
        return check_lock_name(filled)
    except BadInput as error:
        raise BadInput(f"The lock {template!r} cannot be made: {error.message}", field=_blamed(template)) from None


def next_fencing_number(last: int, now_ms: int) -> int:
    """A number above the last one. It is no smaller than the time, so that a lock which was forgotten does not start anew."""
    return max(last + 1, now_ms)


def _blamed(template: str) -> str:
    return next((f"payload.{key}" for key in keys_of(template)), "lock")


def _value(template: str, key: str, payload: Mapping[str, Any]) -> str:
    value = payload.get(key)
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    fault = "the payload has none" if key not in payload else f"it must be text or a whole number, not {value!r:.60}"
    raise BadInput(f"The lock {template!r} needs {key!r}: {fault}.", field=f"payload.{key}")


@functools.lru_cache(maxsize=1024)
def _parts(template: str) -> tuple[tuple[str, str | None], ...]:
    """The literals of a template, each with the key that follows it. Raises BadInput."""
    try:
        parts = tuple(string.Formatter().parse(template))
    except ValueError as error:
        raise BadInput(f"{template!r} is no lock: {error}. {_REMEDY}", field="lock") from None
    for _, key, form, conversion in parts:
        if key is not None and (not key.isidentifier() or form or conversion):
            raise BadInput(f"{template!r} is no lock: {{{key}}} names no key. {_REMEDY}", field="lock")
    return tuple((literal, key) for literal, key, _, _ in parts)


_REMEDY = 'Name keys of the payload in braces, as in "report:{account}"; write {{ and }} for braces.'
