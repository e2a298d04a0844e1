"""What a worker process holds, in memory that it shares with its keeper: one row an attempt, from the claim to the outcome.

Two processes write here without a lock, because one that is killed or suspended would keep it. Instead every value has one
writer at a time. The worker process owns a row, but while the attempt waits in the line: the line is a pipe of row numbers,
of which the kernel hands out each once, so whoever reads a number owns its row. The worker process reads one to start the
attempt, the keeper to give it back. The marks `begun` and `verdict` and the renewals are written by the keeper.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Sequence
from enum import IntEnum
from itertools import compress
from typing import Literal
from uuid import UUID

from tasks.domain.lease import Lease, LeasedTask
from workers.runtime.pulse import Pulse

ClockReadings = tuple[float, float, float]


class State(IntEnum):
    """How far the attempt of a row is."""

    FREE = 0
    WAITING = 1  # in the line
    STARTING = 2  # not in the line (any more): the worker process is about to start it, or to give it up
    RUNNING = 3
    ENDED = 4  # the handler has; the lease is held on until the outcome is taken
    WITHDRAWN = 5  # the keeper took it out of the line and gives it back
    RETURNED = 6  # given back; the worker process may forget it


class Verdict(IntEnum):
    """What the keeper heard of the attempt's lease."""

    NONE = 0
    CANCELLED = 1
    LOST = 2


class Life(IntEnum):
    """How it stands with the process whose table it is."""

    NONE = 0
    ALIVE = 1
    DEAD = 2  # what it held is settled by the keeper
    ENDED = 3  # as it was told to: what it held is given back


_HEADER = 64
_LEASE = struct.Struct("<16s16sQ")
_COLUMNS: dict[str, Literal["d", "B"]] = {
    **dict.fromkeys(
        ("renewed_monotonic", "renewed_boot", "renewed_wall", "claimed_at", "started_at", "timeout", "lease_seconds"),
        "d",
    ),
    **dict.fromkeys(("state", "begun", "verdict"), "B"),
}
_NUMBER = struct.Struct("<H")


class HeldTable:
    """The shared table of one worker process. Made before the processes that share it are forked.

    Columns are indexed by row. Moments are readings of the monotonic clock, which all processes of a host share.
    """

    state: memoryview
    begun: memoryview
    verdict: memoryview
    claimed_at: memoryview[float]
    started_at: memoryview[float]
    timeout: memoryview[float]
    lease_seconds: memoryview[float]
    renewed_monotonic: memoryview[float]
    renewed_boot: memoryview[float]
    renewed_wall: memoryview[float]

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.pulse = Pulse()
        widths = {name: struct.calcsize(kind) for name, kind in _COLUMNS.items()}
        self._memory = mmap.mmap(-1, _HEADER + capacity * (sum(widths.values()) + _LEASE.size))
        whole = memoryview(self._memory)
        self._life, self._pid = whole[0:8], whole[8:16].cast("q")
        at = _HEADER
        for name, kind in _COLUMNS.items():
            setattr(self, name, whole[at : at + capacity * widths[name]].cast(kind))
            at += capacity * widths[name]
        self._leases = whole[at : at + capacity * _LEASE.size]
        self._line_out, self._line_in = os.pipe()
        os.set_blocking(self._line_out, False)

    # --- the process -----------------------------------------------------------------------------------------------

    @property
    def life(self) -> Life:
        """How it stands with the process."""
        return Life(self._life[0])

    @life.setter
    def life(self, life: Life) -> None:
        self._life[0] = life

    @property
    def retiring(self) -> bool:
        """Whether the process is to end once its attempts have; set by itself or by the keeper."""
        return bool(self._life[1])

    @retiring.setter
    def retiring(self, retiring: bool) -> None:
        self._life[1] = retiring

    @property
    def doomed(self) -> bool:
        """Whether the process is to be killed, because nothing else ends a handler of its; set by the keeper."""
        return bool(self._life[2])

    @doomed.setter
    def doomed(self, doomed: bool) -> None:
        self._life[2] = doomed

    @property
    def drained(self) -> bool:
        """Whether the process has ended its work itself: what is left is given back, whoever finds it. Set by itself."""
        return bool(self._life[3])

    @drained.setter
    def drained(self, drained: bool) -> None:
        self._life[3] = drained

    @property
    def pid(self) -> int:
        """The process; 0 before it has said so."""
        return int(self._pid[0])

    @pid.setter
    def pid(self, pid: int) -> None:
        self._pid[0] = pid

    def open(self) -> None:
        """Belong to a new process, which is about to start. The table is empty."""
        while self.line_next() is not None:
            continue
        self.pid = 0
        self.pulse.beat()
        self.retiring = self.doomed = self.drained = False
        self.life = Life.ALIVE

    def clear(self) -> None:
        """Belong to nobody, hold nothing: all that a dead process left is settled."""
        self.state[:] = bytes(self.capacity)
        self.life = Life.NONE

    # --- rows ------------------------------------------------------------------------------------------------------

    def write(self, row: int, task: LeasedTask, claimed_at: float, sent: ClockReadings) -> None:
        """Fill a free row."""
        lease = task.lease
        _LEASE.pack_into(
            self._leases, row * _LEASE.size, lease.task_id.bytes, lease.claim_id.bytes, lease.fencing_token
        )
        self.timeout[row] = task.timeout_seconds
        self.claimed_at[row] = claimed_at
        self.started_at[row] = 0.0
        self.begun[row] = False
        self.verdict[row] = Verdict.NONE
        self.renew(row, sent, task.lease_seconds)
        self.state[row] = State.STARTING

    def renew(self, row: int, sent: ClockReadings, lease_seconds: float) -> None:
        """Note the clocks' readings when the request was sent that made or extended the lease, and for how long."""
        self.renewed_monotonic[row], self.renewed_boot[row], self.renewed_wall[row] = sent
        self.lease_seconds[row] = lease_seconds

    def renewed(self, row: int) -> ClockReadings:
        """The readings of the latest renewal. Read while it is written they are older, never newer, than it."""
        return (self.renewed_monotonic[row], self.renewed_boot[row], self.renewed_wall[row])

    def lease(self, row: int) -> Lease:
        """What the row's attempt is held by."""
        task_id, claim_id, token = _LEASE.unpack_from(self._leases, row * _LEASE.size)
        return Lease(UUID(bytes=task_id), token, UUID(bytes=claim_id))

    def rows(self, *states: State) -> list[int]:
        """The rows in one of these states; in any but FREE if none is named."""
        wanted = states or tuple(State)[1:]
        chosen = bytes(self.state).translate(bytes(state in wanted for state in range(256)))
        return list(compress(range(self.capacity), chosen))

    def count(self, *states: State) -> int:
        """How many rows are in one of these states."""
        present = bytes(self.state)
        return sum(map(present.count, states))

    # --- the line --------------------------------------------------------------------------------------------------

    def line_up(self, rows: Sequence[int]) -> None:
        """Put rows at the end of the line."""
        for row in rows:
            self.state[row] = State.WAITING
        os.write(self._line_in, b"".join(map(_NUMBER.pack, rows)))

    def line_next(self) -> int | None:
        """Take the first row out of the line: it is the caller's now. None if the line is empty."""
        try:
            (row,) = _NUMBER.unpack(os.read(self._line_out, _NUMBER.size))
        except BlockingIOError:
            return None
        return int(row)
