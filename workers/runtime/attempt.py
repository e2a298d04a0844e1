"""The attempts that this process holds: what is known of each, from the claim to the day its outcome is taken."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from dtq_site.foundation.clock import LeaseTimer, elapsed_clock
from tasks.domain.lease import Lease, LeasedTask
from workers.runtime.held_table import ClockReadings, HeldTable, State, Verdict


class Attempt:
    """One execution, waiting in line, running or ended, with a row in the table that the keeper reads.

    A handler may look at its attempt for longer than the attempt is held: then it has no row any more.
    """

    __slots__ = ("_table", "lease", "row", "task")

    def __init__(self, task: LeasedTask, table: HeldTable, row: int) -> None:
        self.task = task
        self.lease = task.lease
        self._table = table
        self.row: int | None = row

    @property
    def begun(self) -> bool:
        """Whether the server knows that it has started, or is told so before it does."""
        row = self.row
        return row is not None and bool(self._table.begun[row])

    def mark_begun(self) -> None:
        """Note that the server knows of its start."""
        assert self.row is not None
        self._table.begun[self.row] = True

    def start(self) -> None:
        """Its handler starts now."""
        assert self.row is not None
        self._table.started_at[self.row] = elapsed_clock()
        self._table.state[self.row] = State.RUNNING

    @property
    def cancelled(self) -> bool:
        """Whether its task was cancelled."""
        row = self.row
        return row is not None and self._table.verdict[row] == Verdict.CANCELLED

    @property
    def to_end(self) -> bool:
        """Whether it is to end without an outcome: it was cancelled, or is another worker's by now."""
        row = self.row
        return row is None or self._table.verdict[row] != Verdict.NONE

    @property
    def running_seconds(self) -> float:
        """How long its handler has been running; 0 before it starts."""
        row = self.row
        started_at = 0.0 if row is None else self._table.started_at[row]
        return elapsed_clock() - started_at if started_at else 0.0

    @property
    def overdue(self) -> bool:
        """Whether its time limit has passed."""
        return self.running_seconds > self.task.timeout_seconds

    def lease_is_valid(self, timer: LeaseTimer) -> bool:
        """Whether nobody else can run the task yet."""
        row = self.row
        if row is None or self._table.verdict[row] == Verdict.LOST:
            return False
        return timer.remaining_seconds(self._table.renewed(row), self._table.lease_seconds[row]) > 0

    def end(self) -> None:
        """Its handler has ended, or never starts."""
        assert self.row is not None
        self._table.state[self.row] = State.ENDED

    def forget(self) -> int | None:
        """Give up the row; returns it. The attempt answers from now on as one that is over."""
        row, self.row = self.row, None
        return row


class HeldAttempts:
    """The attempts of this process, shared by its services. The line is the table's: see `held_table.py`."""

    def __init__(self, table: HeldTable) -> None:
        self.table = table
        self._lock = threading.Lock()
        self._attempts: dict[Lease, Attempt] = {}
        self._by_row: dict[int, Attempt] = {}
        self._free = list(range(table.capacity - 1, -1, -1))

    @property
    def room(self) -> int:
        """How many more attempts can be held."""
        return len(self._free)

    def add(self, tasks: Sequence[LeasedTask], sent: ClockReadings) -> list[Attempt]:
        """Hold claimed tasks; `sent` are the clocks' readings from before the claim. There is room for them."""
        claimed_at = elapsed_clock()
        attempts = []
        with self._lock:
            for task in tasks:
                row = self._free.pop()
                attempt = self._attempts[task.lease] = self._by_row[row] = Attempt(task, self.table, row)
                self.table.write(row, task, claimed_at, sent)
                attempts.append(attempt)
        return attempts

    def line_up(self, attempts: Sequence[Attempt]) -> None:
        """Put attempts at the end of the line, whence `next_in_line` or the keeper takes them."""
        rows = [row for attempt in attempts if (row := attempt.row) is not None]
        if rows:
            self.table.line_up(rows)

    def next_in_line(self) -> Attempt | None:
        """Take the first attempt out of the line: it is the caller's to start or to give up."""
        row = self.table.line_next()
        if row is None:
            return None
        self.table.state[row] = State.STARTING
        return self._by_row[row]

    def withdraw_line(self) -> list[Attempt]:
        """Take all attempts out of the line; they are the caller's to give up."""
        return list(iter(self.next_in_line, None))

    def finish(self, attempt: Attempt) -> None:
        """The handler has ended, or never starts; the lease is held on until the server knows."""
        attempt.end()

    def remove(self, lease: Lease) -> Attempt | None:
        """Hold it no longer: its outcome was taken or refused, or it was given back. Returns what was held."""
        with self._lock:
            attempt = self._attempts.pop(lease, None)
            if attempt is not None:
                self._release_row(attempt)
            return attempt

    def withdrawn(self) -> set[Lease]:
        """What the keeper has taken out of the line to give it back, or has given back."""
        return {self.table.lease(row) for row in self.table.rows(State.WITHDRAWN, State.RETURNED)}

    def forget_returned(self) -> list[Lease]:
        """Hold no longer what the keeper has given back; returns the leases."""
        rows = self.table.rows(State.RETURNED) if self.table.count(State.RETURNED) else []
        returned = [self._by_row[row].lease for row in rows]
        for lease in returned:
            self.remove(lease)
        return returned

    def _release_row(self, attempt: Attempt) -> None:
        row = attempt.forget()
        assert row is not None
        del self._by_row[row]
        self.table.state[row] = State.FREE
        self._free.append(row)

    def running(self) -> list[Attempt]:
        """Those whose handler runs."""
        found = [self._by_row.get(row) for row in self.table.rows(State.RUNNING)]
        return [attempt for attempt in found if attempt is not None]

    def renewals(self) -> list[tuple[LeasedTask, float, ClockReadings]]:
        """The tasks as they were claimed, how long their leases are now, and the clocks' readings from which that counts."""
        with self._lock:
            rows = [(attempt.task, row) for attempt in self._attempts.values() if (row := attempt.row) is not None]
            return [(task, self.table.lease_seconds[row], self.table.renewed(row)) for task, row in rows]

    @property
    def waiting(self) -> int:
        """How many wait in line."""
        return self.table.count(State.WAITING)

    @property
    def unfinished(self) -> int:
        """How many wait in line, start or run."""
        return self.table.count(State.WAITING, State.STARTING, State.RUNNING)
