"""When a task runs again."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.domain.retry import History, RetryPolicy, Sequel, after_failure, after_lost_lease, backoff
from tasks.domain.states import TaskStatus

POLICY = RetryPolicy(backoff_ms=1000, backoff_cap=timedelta(hours=1), max_lost_leases=3)
DEAD = Sequel(TaskStatus.DEAD_LETTER)
AT_ONCE = Sequel(TaskStatus.QUEUED)


def waits(seconds: float) -> Sequel:
    return Sequel(TaskStatus.PENDING, timedelta(seconds=seconds))


def test_three_retries_wait_one_two_and_four_seconds_and_then_the_task_is_dead():
    sequels = [after_failure(History(n, n, 0, max_retries=3), POLICY, 0) for n in (1, 2, 3, 4)]

    assert sequels == [waits(1), waits(2), waits(4), DEAD]


def test_without_retries_the_first_failure_is_the_last():
    assert after_failure(History(1, 1, 0, max_retries=0), POLICY, 0) == DEAD


def test_the_handler_may_choose_the_wait_and_no_jitter_changes_it():
    assert after_failure(History(1, 1, 0, 3), POLICY, 1, timedelta(seconds=7)) == waits(7)
    assert after_failure(History(1, 1, 0, 3), POLICY, 1, timedelta(0)) == waits(0)


def test_the_handler_s_choice_buys_no_further_attempt():
    assert after_failure(History(4, 4, 0, 3), POLICY, 0, timedelta(seconds=7)) == DEAD


@given(times=st.integers(1, 10_000), fraction=st.floats(0, 1))
def test_jitter_only_lengthens_and_by_a_tenth_at_most(times, fraction):
    plain = backoff(times, POLICY, 0)

    assert plain <= backoff(times, POLICY, fraction) <= plain * 1.1


def test_the_wait_doubles_up_to_the_cap():
    assert [backoff(n, POLICY, 0).total_seconds() for n in (11, 12, 13, 14, 10_000)] == [1024, 2048, 3600, 3600, 3600]


def test_the_longest_settings_do_not_overflow():
    policy = RetryPolicy(3_600_000, timedelta(days=7), 3)

    assert backoff(1000, policy, 0) == timedelta(days=7)


@pytest.mark.parametrize(
    ("losses", "sequel"), [(1, AT_ONCE), (2, waits(1)), (3, waits(2)), (4, DEAD)], ids=["1st", "2nd", "3rd", "4th"]
)
def test_a_lost_lease_goes_back_at_once_then_waits_then_is_dead(losses, sequel):
    history = History(attempts=losses, failures=0, lost_leases=losses, max_retries=100)

    assert after_lost_lease(history, True, POLICY, 0) == sequel


def test_a_lost_lease_uses_up_its_attempt():
    history = History(attempts=1, failures=0, lost_leases=1, max_retries=0)

    assert after_lost_lease(history, True, POLICY, 0) == DEAD


def test_a_task_that_had_not_begun_is_never_dead_by_losing_its_lease():
    policy = RetryPolicy(1000, timedelta(hours=1), max_lost_leases=0)

    assert after_lost_lease(History(0, 0, 1, max_retries=0), False, policy, 0) == AT_ONCE


def test_failures_and_losses_share_the_attempts():
    history = History(attempts=4, failures=3, lost_leases=1, max_retries=3)

    assert after_lost_lease(history, True, POLICY, 0) == DEAD
