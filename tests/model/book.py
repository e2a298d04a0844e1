"""What has been promised of one task, and what tasks need of each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from tasks.domain.states import TERMINAL, Hold, TaskStatus
from tasks.domain.workflow import OnFailure
from tests.model.events import Row

ENDED_BADLY = TERMINAL - {TaskStatus.COMPLETED}


@dataclass
class Book:
    """What has been promised of one task."""

    not_before: datetime
    live_until: datetime | None = None
    """Until when somebody may believe to hold it."""
    begun: bool = False
    attempts: int = 0
    failures: int = 0
    losses: int = 0
    needs: dict[UUID, str] = field(default_factory=dict)
    """The tasks that have to complete before it may start, and what is to become of it when one of them does not."""


def is_live(book: Book, now: datetime) -> bool:
    """Whether somebody may still believe to hold the task."""
    return book.live_until is not None and book.live_until > now


def forget_met(needs: dict[UUID, str], rows: Mapping[UUID, Row]) -> None:
    """Take out what has completed, what is gone, and what has ended badly where that does not matter."""
    for id_, on_failure in list(needs.items()):
        status = rows[id_].status if id_ in rows else None
        if status in (None, TaskStatus.COMPLETED) or (on_failure == OnFailure.RUN and status in TERMINAL):
            del needs[id_]


def falls(book: Book, rows: Mapping[UUID, Row]) -> bool:
    """Whether the task is to be cancelled with one that it needs."""
    falling = (id_ for id_, on_failure in book.needs.items() if on_failure == OnFailure.CANCEL)
    return any(rows[id_].status in ENDED_BADLY for id_ in falling)


def check_wait(book: Book, row: Row) -> None:
    """A task waits for others just as long as it needs any."""
    assert not book.needs or row.hold == Hold.DEPENDENCY, "it is ready before what it depends on has completed"
    assert book.needs or row.hold != Hold.DEPENDENCY, "it waits for nothing"
