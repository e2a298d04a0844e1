"""What has happened to a row, told from how it stood before and after one commit."""

from __future__ import annotations

from enum import StrEnum
from types import SimpleNamespace
from uuid import UUID

from tasks.domain.lease import Lease
from tasks.domain.states import TERMINAL, Hold, TaskStatus

Row = SimpleNamespace
"""The columns of a task; two are equal when all columns are."""


class Event(StrEnum):
    """What can happen to a row."""

    CREATED = "created"
    DELETED = "deleted"
    CLAIMED = "claimed"
    BEGUN = "begun"
    RENEWED = "renewed"
    SETTLED = "settled"
    RELEASED = "released"
    STOPPED = "stopped"
    WITHDRAWN = "withdrawn"
    """Given back unstarted when it had been cancelled already."""
    LOST = "lost"
    PROMOTED = "promoted"
    CANCELLED = "cancelled"
    RETRIED = "retried"
    UPDATED = "updated"
    NEEDED = "needed by another one"
    FREED = "freed by what it depends on"
    FELLED = "cancelled with what it depends on"


FOLLOWING = frozenset({Event.FREED, Event.FELLED})
"""What an end may bring to tasks that depend on the one that ends; nobody has asked about these."""

REAPED = FOLLOWING | {Event.LOST, Event.WITHDRAWN, Event.STOPPED}
"""What the end of leases brings."""


def event_of(before: Row | None, after: Row | None) -> Event:
    """The one event that explains the change."""
    if before is None or after is None:
        return Event.CREATED if before is None else Event.DELETED
    if after.has_dependants != before.has_dependants:
        return Event.NEEDED
    if after.fencing_token != before.fencing_token:
        return Event.CLAIMED
    if after.settled_token != before.settled_token:
        return Event.SETTLED
    if before.hold == Hold.DEPENDENCY != after.hold:
        return _of_a_child(before, after)
    if before.status != after.status:
        return _of_a_move(before, after)
    if after.status == TaskStatus.PROCESSING:
        return Event.RENEWED if after.lease_expires_at != before.lease_expires_at else Event.BEGUN
    if after.attempts != before.attempts:
        return Event.WITHDRAWN
    return Event.STOPPED if after.version == before.version else Event.UPDATED


def _of_a_child(before: Row, after: Row) -> Event:
    if after.status == TaskStatus.CANCELLED:
        return Event.FELLED if after.error else Event.CANCELLED
    return Event.FREED


def _of_a_move(before: Row, after: Row) -> Event:
    if after.status == TaskStatus.CANCELLED:
        return Event.CANCELLED
    if before.status in TERMINAL:
        return Event.RETRIED
    if before.status == TaskStatus.PROCESSING:
        return Event.RELEASED if after.status == TaskStatus.QUEUED and after.claim_id is None else Event.LOST
    same = (before.scheduled_at, before.priority, before.queue) == (after.scheduled_at, after.priority, after.queue)
    return Event.PROMOTED if same else Event.UPDATED


def lease_of(row: Row) -> Lease:
    """The lease that the row bears."""
    return Lease(row.id, row.fencing_token, row.claim_id)


def place(row: Row) -> tuple[int, UUID]:
    """Where it stands in its queue."""
    return (row.rank, row.id)
