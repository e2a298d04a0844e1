"""Tasks of the lock "a": one that runs, and others that wait for it."""

from __future__ import annotations

from datetime import datetime

from tasks.domain.locks import LockAnswer, LockVerdict
from tasks.domain.states import Hold, TaskStatus
from tasks.models import NamedLock, Task
from tests.support.factories import START, claim, create, reread

BUSY, LOST = LockAnswer(LockVerdict.BUSY), LockAnswer(LockVerdict.LOST)
WAITING, READY = (TaskStatus.PENDING, Hold.LOCK), (TaskStatus.QUEUED, Hold.NONE)


def run(now: datetime = START, **fields) -> Task:
    """A task of the lock "a" that runs, and so holds it."""
    (won,) = claim([create(now, lock="a", **fields)], now)
    return reread(won)


def wait(now: datetime = START, **fields) -> Task:
    """A task that waits for the lock "a", which another one holds."""
    task = create(now, **{"lock": "a", **fields})
    assert claim([task], now) == []
    return reread(task)


def holder(name: str = "a") -> tuple[object, int]:
    """Who holds the lock, or nobody, and under which number."""
    return NamedLock.objects.values_list("holder_id", "holder_token").get(name=name)
