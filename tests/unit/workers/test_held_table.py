"""What a worker process and its keeper share of the attempts that are held."""

from __future__ import annotations

import os
from collections.abc import Callable
from uuid import UUID

import pytest

from dtq_site.foundation.clock import LeaseTimer
from tasks.domain.lease import Lease, LeasedTask
from workers.runtime.attempt import Attempt, HeldAttempts
from workers.runtime.held_table import HeldTable, Life, State, Verdict


def leased(number: int, *, token: int = 1, timeout: float = 30.0) -> LeasedTask:
    return LeasedTask(
        Lease(UUID(int=number), token, UUID(int=99)), "job", {}, 1, timeout, 15.0, False, team_id=UUID(int=7)
    )


def held(count: int, capacity: int = 8) -> tuple[HeldTable, HeldAttempts, list[Attempt]]:
    table = HeldTable(capacity)
    attempts = HeldAttempts(table)
    return table, attempts, attempts.add([leased(number) for number in range(1, count + 1)], LeaseTimer.sent_at())


def in_a_child(action: Callable[[], None]) -> None:
    """Do it in a process of its own, which ends at once."""
    child = os.fork()
    if child == 0:
        try:
            action()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def test_another_process_sees_what_is_held():
    table, attempts, (first, second) = held(2)

    def act() -> None:
        attempts.line_up([first, second])
        attempts.next_in_line().start()

    in_a_child(act)

    assert (table.rows(State.RUNNING), table.rows(State.WAITING)) == ([first.row], [second.row])
    assert [table.lease(row) for row in table.rows()] == [first.lease, second.lease]
    assert table.started_at[first.row] > table.claimed_at[first.row] > 0
    assert table.timeout[second.row] == 30.0


def test_of_a_line_each_attempt_is_had_once_by_whoever_is_first():
    table, attempts, all_of_them = held(6)
    attempts.line_up(all_of_them)
    by_another = HeldTable(6)

    def act() -> None:
        for number in range(3):
            by_another.claimed_at[number] = table.line_next()

    in_a_child(act)

    rest = attempts.withdraw_line()
    assert [int(row) for row in by_another.claimed_at[:3]] == [attempt.row for attempt in all_of_them[:3]]
    assert rest == all_of_them[3:]
    assert attempts.next_in_line() is None and table.line_next() is None


def test_what_the_keeper_writes_the_attempt_knows():
    table, _, (attempt, other) = held(2)
    timer = LeaseTimer()
    assert not attempt.to_end and attempt.lease_is_valid(timer) and not attempt.begun

    table.verdict[attempt.row] = Verdict.CANCELLED
    table.begun[attempt.row] = True
    table.verdict[other.row] = Verdict.LOST

    assert (attempt.to_end, attempt.cancelled, attempt.begun, attempt.lease_is_valid(timer)) == (True, True, True, True)
    assert (other.to_end, other.cancelled, other.lease_is_valid(timer)) == (True, False, False)


def test_a_lease_counts_from_its_latest_renewal():
    table, _, (attempt,) = held(1)
    timer = LeaseTimer(margin_seconds=1.0)
    monotonic, boot, wall = LeaseTimer.sent_at()

    table.renew(attempt.row, (monotonic - 14.5, boot - 14.5, wall - 14.5), 15.0)
    assert not attempt.lease_is_valid(timer)

    table.renew(attempt.row, (monotonic, boot, wall), 15.0)
    assert attempt.lease_is_valid(timer)


def test_an_attempt_that_is_over_answers_so_when_its_row_is_anothers():
    _, attempts, (attempt,) = held(1, capacity=1)
    assert attempts.room == 0

    attempt.start()
    attempts.finish(attempt)
    assert attempts.remove(attempt.lease) is attempt and attempts.remove(attempt.lease) is None
    (following,) = attempts.add([leased(2)], LeaseTimer.sent_at())
    following.start()

    assert (attempt.to_end, attempt.lease_is_valid(LeaseTimer()), attempt.running_seconds) == (True, False, 0.0)
    assert attempts.running() == [following]


def test_what_the_keeper_has_given_back_is_held_no_longer():
    table, attempts, (first, second) = held(2)
    row, lease = first.row, first.lease
    table.state[row] = State.RETURNED

    assert attempts.forget_returned() == [lease]

    assert table.rows() == [second.row] and attempts.room == 7
    assert table.state[row] == State.FREE and first.to_end


@pytest.mark.parametrize("count", [0, 1, 3])
def test_what_is_unfinished_is_counted(count: int):
    _, attempts, all_of_them = held(4)
    for attempt in all_of_them[:count]:
        attempts.finish(attempt)

    assert attempts.unfinished == 4 - count


def test_a_table_passes_from_one_process_to_the_next_empty():
    table, attempts, all_of_them = held(3)
    attempts.line_up(all_of_them)
    table.open()
    table.pid = 4711
    table.retiring = table.doomed = True
    table.life = Life.DEAD

    table.clear()
    assert (table.life, table.rows()) == (Life.NONE, [])
    table.open()

    assert (table.life, table.pid, table.retiring, table.doomed) == (Life.ALIVE, 0, False, False)
    assert table.line_next() is None
