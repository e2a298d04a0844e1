"""Keeps what the worker processes of a host hold: in a process of its own, so that no handler can keep it from doing so.

It renews leases, notes what has begun, gives back what waits too long in a line, dooms a process whose handler nothing else
ends, and settles what a dead process held. What it knows of the processes stands in their tables (`held_table.py`); it
renews nothing for one that is dead or stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta

import psutil

from dtq_site.foundation.backoff import full_jitter
from dtq_site.foundation.clock import LeaseTimer, elapsed_clock
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.service import Service
from tasks.domain.lease import Lease, RenewalVerdict
from tasks.domain.outcome import Outcome, OutcomeKind
from workers.runtime.held_table import HeldTable, Life, State, Verdict
from workers.runtime.look_ahead import NO_FURTHER, Ahead
from workers.transports.base import Keeping, Renewal, Unreachable

TICK_SECONDS = 0.05
BEGUN_AFTER_SECONDS = 0.2
"""How long a task runs before its start is noted: most have ended by then and cost nothing."""

MOST_SECONDS_BETWEEN_RENEWALS = 5.0
DELIVERY_SECONDS = 5.0
"""How long a doomed process may take to deliver what beside the hanging handler has ended."""

_VERDICTS = {RenewalVerdict.CANCELLED: Verdict.CANCELLED, RenewalVerdict.LOST: Verdict.LOST}


@dataclass(frozen=True)
class _Held:
    """A row of a table, with the lease that it bore when it was looked at: by the time of an answer it may be another's."""

    table: HeldTable
    row: int
    lease: Lease

    @property
    def is_same(self) -> bool:
        return self.table.lease(self.row) == self.lease


class Keeper(Service):
    """Ticks twenty times a second; renews four times a lease, at least every five seconds, and what is new and short at once.

    `kept` are the leases of outcomes that are on this host's disk: whoever finds them there delivers them.
    """

    name = "keeper"

    def __init__(
        self,
        observer: Observer,
        transport: Keeping,
        tables: Sequence[HeldTable],
        kept: Callable[[], AbstractSet[Lease]],
        *,
        lease: timedelta,
        hard_limit_after: timedelta,
        ahead: Ahead = NO_FURTHER,
    ) -> None:
        super().__init__(observer)
        self._transport = transport
        self._tables = tables
        self._kept = kept
        self._lease = lease
        self._ahead = ahead
        self._failures = 0
        self._hard_limit_seconds = hard_limit_after.total_seconds()
        self._period = min(lease.total_seconds() / 4, MOST_SECONDS_BETWEEN_RENEWALS)
        self._renew_at = elapsed_clock() + self._period

    def run_once(self) -> float:
        """Do what the clock asks for; returns the seconds until the next look."""
        living = [table for table in self._tables if table.life is Life.ALIVE]
        for table in living:
            self._withdraw(table)
            self._doom(table)
        try:
            if elapsed_clock() >= self._renew_at:
                self._renew([table for table in living if not _is_stopped(table.pid)])
            self._confirm(living)
            self._note_begun(living)
            self._give_back(living)
            for table in self._tables:
                if table.life in (Life.DEAD, Life.ENDED):
                    self._settle(table)
        except Unreachable as error:
            # What runs goes on; a granted renewal makes the leases good again.
            self._failures += 1
            pause = full_jitter(self._failures, base_seconds=0.5, cap_seconds=max(1.0, self._period))
            self.observer.emit(
                "server.unreachable", during="renewal", error=str(error), again_in_seconds=round(pause, 2)
            )
            self._renew_at = elapsed_clock()
            return pause
        self._failures = 0
        return TICK_SECONDS

    def after_round(self) -> None:
        """Let the transport tidy up."""
        self._transport.after_work()

    # --- the living ------------------------------------------------------------------------------------------------

    def _withdraw(self, table: HeldTable) -> None:
        """Take out of the line what has waited in it for too long, oldest first; what was to be held ahead may stay.

        While the server is away nothing could be given back: whatever is held is better run.
        """
        if self._failures:
            return
        before = elapsed_clock() - self._ahead.horizon_seconds
        waiting = table.rows(State.WAITING)
        late = sum(table.claimed_at[row] < before for row in waiting)
        for _ in range(min(late, len(waiting) - self._ahead.prefetch)):
            row = table.line_next()
            if row is None:
                return
            table.state[row] = State.WITHDRAWN

    def _give_back(self, tables: Iterable[HeldTable]) -> None:
        withdrawn = _held(tables, State.WITHDRAWN)
        if withdrawn:
            self._transport.release([held.lease for held in withdrawn])
            for held in withdrawn:
                held.table.state[held.row] = State.RETURNED

    def _note_begun(self, tables: Iterable[HeldTable]) -> None:
        before = elapsed_clock() - BEGUN_AFTER_SECONDS
        fresh = [
            held
            for held in _held(tables, State.RUNNING)
            if not held.table.begun[held.row] and held.table.started_at[held.row] < before
        ]
        if fresh:
            self._transport.begin([held.lease for held in fresh])
            for held in fresh:
                if held.is_same:
                    held.table.begun[held.row] = True

    def _renew(self, tables: Iterable[HeldTable]) -> None:
        """Renew what was not claimed or renewed a moment ago: of short tasks most never are."""
        before = elapsed_clock() - self._period / 2
        self._ask([held for held in _held(tables, *_HOLDING) if held.table.renewed_monotonic[held.row] < before])
        self._renew_at = elapsed_clock() + self._period

    def _confirm(self, tables: Iterable[HeldTable]) -> None:
        """Have leases as long as they are to be: a claim may grant short ones, as its answer may be lost.

        That costs a claim no request of its own, and what has ended by now nothing.
        """
        wanted = self._lease.total_seconds()
        short = [
            (table, row)
            for table in tables
            for row in table.rows(*_UNFINISHED)
            if table.lease_seconds[row] < wanted and table.renewed_monotonic[row] < table.claimed_at[row]
        ]
        self._ask([_Held(table, row, table.lease(row)) for table, row in short if not _is_stopped(table.pid)])

    def _ask(self, due: Sequence[_Held]) -> None:
        if not due:
            return
        sent = LeaseTimer.sent_at()
        verdicts = self._transport.renew([held.lease for held in due], self._lease)
        for held in due:
            self._take(held, verdicts[held.lease], sent)

    def _take(self, held: _Held, renewal: Renewal, sent: tuple[float, float, float]) -> None:
        verdict = renewal.verdict
        if not held.is_same:
            return
        if verdict is RenewalVerdict.RENEWED:
            held.table.renew(held.row, sent, renewal.lease_seconds)
        elif held.table.state[held.row] in _UNFINISHED and not held.table.verdict[held.row]:
            held.table.verdict[held.row] = _VERDICTS[verdict]
            heard = "task.cancel_heard" if verdict is RenewalVerdict.CANCELLED else "lease.lost"
            self.observer.emit(heard, task=str(held.lease.task_id))

    # --- processes that must end -----------------------------------------------------------------------------------

    def _doom(self, table: HeldTable) -> None:
        """A handler that outlives its limit costs its process: nothing new starts there, and it ends when the others have."""
        hanging = [row for row in table.rows(State.RUNNING) if self._hangs(table, row)]
        if not hanging or table.doomed:
            return
        if not table.retiring:
            table.retiring = True
            for row in hanging:
                self.observer.emit("handler.hangs", task=str(table.lease(row).task_id), pid=table.pid)
        delivered_by = max(self._limit(table, row) for row in hanging) + DELIVERY_SECONDS
        others = [state for state in _HOLDING if state is not State.RUNNING and table.count(state)]
        if len(hanging) == table.count(State.RUNNING) and (not others or elapsed_clock() > delivered_by):
            self._transport.doom([self._hard_limit_outcome(held) for held in _held([table], State.RUNNING)])
            table.doomed = True

    def _hangs(self, table: HeldTable, row: int) -> bool:
        return elapsed_clock() > self._limit(table, row)

    def _limit(self, table: HeldTable, row: int) -> float:
        return table.started_at[row] + table.timeout[row] + self._hard_limit_seconds

    # --- the dead --------------------------------------------------------------------------------------------------

    def _settle(self, table: HeldTable) -> None:
        """Say what became of all that a process held that is no more.

        Handlers that ran have died with it. What one of them did that was not told any more, nor kept on disk, is told by
        nobody.
        """
        kept = self._kept()
        ran = [held for held in _held([table], State.RUNNING, State.ENDED) if table.started_at[held.row]]
        started = [held for held in ran if held.lease not in kept]
        hanging = [held for held in started if table.doomed and self._hangs(table, held.row)]
        others = [held for held in _held([table], *_HOLDING) if held not in hanging and held.lease not in kept]
        lost = [held for held in others if held in started and table.life is Life.DEAD]
        self._transport.settle_dead(
            [self._hard_limit_outcome(held) for held in hanging],
            [held.lease for held in lost],
            [held.lease for held in others if held not in lost],
        )
        table.clear()

    def _hard_limit_outcome(self, held: _Held) -> Outcome:
        limit = held.table.timeout[held.row]
        error = (
            f"TimeLimitExceeded: the attempt ran longer than its limit of {limit:g} s, did not end when it was told to, "
            f"and was ended with its process after {self._hard_limit_seconds:g} s more"
        )
        return Outcome(held.lease, OutcomeKind.FAILED, limit + self._hard_limit_seconds, error=error)


_UNFINISHED = (State.WAITING, State.STARTING, State.RUNNING)
_HOLDING = (*_UNFINISHED, State.ENDED, State.WITHDRAWN)


def _held(tables: Iterable[HeldTable], *states: State) -> list[_Held]:
    return [_Held(table, row, table.lease(row)) for table in tables for row in table.rows(*states)]


def _is_stopped(pid: int) -> bool:
    """Whether a process is suspended; one that is gone is not this function's business."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False
