"""The states of a task and the moves between them: the table that `tasks/lifecycle/` obeys."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class TaskStatus(StrEnum):
    """Where a task stands; the last four are terminal."""

    PENDING = "PENDING"
    QUEUED = "QUEUED"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    DEAD_LETTER = "DEAD_LETTER"


class Hold(StrEnum):
    """What a PENDING task waits for."""

    NONE = ""
    DUE = "due"  # its scheduled moment
    BACKOFF = "backoff"  # the wait before its next attempt
    SCHEDULE = "schedule"  # cron firing: it is the coming occurrence of a schedule
    LOCK = "lock"  # a lock that another attempt holds
    LIMIT = "limit"  # a rate, or how many may run at a time
    DEPENDENCY = "parents"  # tasks that it depends on


PROMOTABLE_HOLDS = frozenset({Hold.DUE, Hold.BACKOFF})

TERMINAL = frozenset({TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.DEAD_LETTER})


@dataclass(frozen=True)
class Move:
    """A verb of the lifecycle: from which states it may start and in which ones it may end."""

    sources: frozenset[TaskStatus]
    targets: frozenset[TaskStatus]


def _move(sources: str, targets: str) -> Move:
    return Move(frozenset(map(TaskStatus, sources.split())), frozenset(map(TaskStatus, targets.split())))


MOVES = {
    "create": _move("", "PENDING QUEUED"),
    "promote": _move("PENDING", "QUEUED"),
    "claim": _move("QUEUED", "PROCESSING"),
    "park": _move("PROCESSING", "PENDING"),
    "wake": _move("PENDING", "QUEUED"),
    "unblock": _move("PENDING", "QUEUED PENDING CANCELLED"),
    "complete": _move("PROCESSING", "COMPLETED"),
    "complete_late": _move("QUEUED PENDING", "COMPLETED"),
    "fail": _move("PROCESSING", "PENDING DEAD_LETTER"),
    "discard": _move("PROCESSING", "FAILED"),
    "release": _move("PROCESSING", "QUEUED"),
    "reap": _move("PROCESSING", "QUEUED PENDING DEAD_LETTER"),
    "cancel": _move("PENDING QUEUED PROCESSING", "CANCELLED"),
    "retry": _move("FAILED DEAD_LETTER CANCELLED", "QUEUED PENDING"),
    "update": _move("PENDING QUEUED", "PENDING QUEUED"),
    "withdraw": _move("PENDING", ""),
    "delete": Move(TERMINAL, frozenset()),
}
