"""The right to run one task until a moment in time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID


@dataclass(frozen=True)
class Lease:
    """What proves to hold a task: every report, renewal and release bears all three."""

    task_id: UUID
    fencing_token: int
    claim_id: UUID

    def __hash__(self) -> int:
        """A task and a token name one lease; hashing the ids as such costs more than all else that is done with them."""
        return hash((self.task_id.int, self.fencing_token))


class WhenLost(StrEnum):
    """What becomes of a task when the lease of a worker that is cut off runs out."""

    REASSIGN = "REASSIGN"  # another worker gets it
    HOLD = "HOLD"  # it is kept for that worker, until it is back or somebody decides otherwise, but not for ever


@dataclass(frozen=True)
class LeasedTask:
    """A claimed task as its worker gets it. `lease_seconds` counts from when the worker sent its request."""

    lease: Lease
    name: str
    payload: dict[str, Any]
    attempt: int
    timeout_seconds: float
    lease_seconds: float
    begin_first: bool
    """Whether the server must know that the task begins before it does: a loss must then count, whatever happens."""
    team_id: UUID
    lock: str | None = None
    lock_fencing_number: int = 0
    """The lock that it holds, and that lock's number."""
    when_lost: str = WhenLost.REASSIGN
    parent_results: dict[str, Any] | None = None
    """What the tasks that it depends on have returned, by their keys; None if that has to be asked for."""
    capped: bool = False
    """Whether it holds a place under a cap, for which others may wait."""
    queue: str = ""
    """Empty if it is not known: the journal of an earlier version did not say."""
    request_id: str | None = None
    traceparent: str | None = None
    """The request and the span that made it, as far as they are known."""

    def facts(self) -> dict[str, Any]:
        """What lines of the log say of whatever is done for it."""
        facts = {"task": str(self.lease.task_id), "name": self.name, "queue": self.queue, "attempt": self.attempt}
        return facts if self.request_id is None else {**facts, "request_id": self.request_id}


class RenewalVerdict(StrEnum):
    """The answer to one renewal."""

    RENEWED = "RENEWED"
    LOST = "LOST"
    CANCELLED = "CANCELLED"
