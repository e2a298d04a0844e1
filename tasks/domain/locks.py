"""Locks as values and rules: what an attempt to take one is answered. A lock's name is one for the whole installation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from tasks.domain.templates import MAX_NAME, NameKind

LOCK_NAMES = NameKind("lock", field="lock", example="report:{account}")
MAX_LOCK_NAME = MAX_NAME
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


def next_fencing_number(last: int, now_ms: int) -> int:
    """A number above the last one. It is no smaller than the time, so that a lock which was forgotten does not start anew."""
    return max(last + 1, now_ms)
