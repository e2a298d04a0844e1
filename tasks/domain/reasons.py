"""Why a task is not running, as values. All apps name their reasons here; `tasks/explanation.py` tells which of them hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class ReasonCode(StrEnum):
    """Reasons, by what programs go by."""

    DUE_LATER = "DUE_LATER"
    BACKOFF = "BACKOFF"
    SCHEDULED = "SCHEDULED"
    OVERLAP = "OVERLAP"
    NO_SCHEDULER = "NO_SCHEDULER"
    LOCK_HELD = "LOCK_HELD"
    RATE_LIMIT = "RATE_LIMIT"
    CONCURRENCY_LIMIT = "CONCURRENCY_LIMIT"
    DEPENDENCY = "DEPENDENCY"
    CANCELLED_ATTEMPT = "CANCELLED_ATTEMPT"
    QUEUE_PAUSED = "QUEUE_PAUSED"
    TASKS_AHEAD = "TASKS_AHEAD"
    NO_WORKER = "NO_WORKER"
    UNKNOWN_HANDLER = "UNKNOWN_HANDLER"
    READY = "READY"
    RUNNING = "RUNNING"
    WORKER_SILENT = "WORKER_SILENT"
    HELD_FOR_WORKER = "HELD_FOR_WORKER"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    CANCEL_UNHEARD = "CANCEL_UNHEARD"
    ATTEMPTS_USED_UP = "ATTEMPTS_USED_UP"
    WORKER_LOST = "WORKER_LOST"


@dataclass(frozen=True)
class Reason:
    """One reason: a sentence for people, and what it is about, where it is about something."""

    code: ReasonCode
    message: str
    until: datetime | None = None
    task_id: UUID | None = None
    worker_id: UUID | None = None
    queue: str | None = None
