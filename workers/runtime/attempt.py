"""The attempts that this process holds: what is known of each, from the claim to the day its outcome is taken."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from dtq_site.foundation.clock import LeaseTimer, elapsed_clock
from tasks.domain.lease import Lease, LeasedTask


@dataclass(eq=False)
class Attempt:
    """One execution, waiting for a slot, running or finished.

    `renewed_at` are the clocks' readings when the request that made or extended its lease was sent.
    """

    task: LeasedTask
    renewed_at: tuple[float, float, float]
    claimed_at: float = field(default_factory=elapsed_clock)
    started_at: float | None = None
    begun: bool = False
    cancelled: bool = False
    lost: bool = False
    finished: bool = False

    @property
    def lease(self) -> Lease:
        """What proves that this process holds the task."""
        return self.task.lease

    @property
    def to_end(self) -> bool:
        """Whether the attempt is to end without an outcome."""
        return self.cancelled or self.lost

    @property
    def running_seconds(self) -> float:
        """How long its handler has been running; 0 before it starts."""
        return 0.0 if self.started_at is None else elapsed_clock() - self.started_at

    @property
    def overdue(self) -> bool:
        """Whether its time limit has passed."""
        return self.running_seconds > self.task.timeout_seconds

    def lease_is_valid(self, timer: LeaseTimer) -> bool:
        """Whether nobody else can run the task yet."""
        return not self.lost and timer.remaining_seconds(self.renewed_at, self.task.lease_seconds) > 0


class HeldAttempts:
    """The attempts of this process, shared by its services."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._attempts: dict[Lease, Attempt] = {}

    def add(self, attempt: Attempt) -> None:
        """Hold an attempt, from before it starts."""
        with self._lock:
            self._attempts[attempt.lease] = attempt

    def finish(self, attempt: Attempt) -> None:
        """The handler has ended; the lease is held on until the outcome is taken."""
        attempt.finished = True

    def remove(self, lease: Lease) -> Attempt | None:
        """Hold it no longer: its outcome was taken or refused, or it was given back. Returns what was held."""
        with self._lock:
            return self._attempts.pop(lease, None)

    def all(self) -> list[Attempt]:
        """Everything held."""
        with self._lock:
            return list(self._attempts.values())

    def unfinished(self) -> list[Attempt]:
        """Those whose handler has not ended, started or not."""
        with self._lock:
            return [attempt for attempt in self._attempts.values() if not attempt.finished]
