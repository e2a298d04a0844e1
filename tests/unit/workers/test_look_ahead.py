"""How much a worker claims beyond its free slots."""

from __future__ import annotations

import math

from workers.runtime.look_ahead import HORIZON_SECONDS, MOST, RunTimes, look_ahead


def test_nothing_is_claimed_ahead_while_too_little_is_known():
    times = RunTimes()
    for _ in range(9):
        times.add(0.001)

    assert times.p95() == math.inf
    assert look_ahead(times.p95(), 5) == 0


def test_no_more_is_claimed_ahead_than_starts_within_the_horizon():
    assert look_ahead(0.010, 2) == 10
    assert look_ahead(HORIZON_SECONDS, 3) == 3
    assert look_ahead(0.051, 1) == 0


def test_slots_that_are_taken_for_long_count_for_nothing():
    assert look_ahead(0.001, 0) == 0


def test_the_line_is_bounded_however_short_the_tasks():
    assert look_ahead(0.0, 1000) == MOST


def test_one_long_task_in_ten_ends_the_looking_ahead():
    times = RunTimes()
    for number in range(100):
        times.add(2.0 if number % 10 == 0 else 0.0001)

    assert times.p95() == 2.0


def test_old_run_times_are_forgotten():
    times = RunTimes()
    for seconds in [5.0] * 100 + [0.001] * 100:
        times.add(seconds)

    assert times.p95() == 0.001
