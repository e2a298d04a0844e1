"""How much a worker claims beyond its free slots."""

from __future__ import annotations

import random

import pytest

from workers.runtime.look_ahead import HORIZON_SECONDS, MOST, RunTimes, look_ahead


def run_times(*seconds: float) -> RunTimes:
    times = RunTimes()
    for each in seconds:
        times.add(each)
    return times


def test_nothing_is_claimed_ahead_while_too_little_is_known():
    assert look_ahead(run_times(*[0.001] * 9), 5) == 0
    assert look_ahead(run_times(*[0.001] * 10), 5) > 0


@pytest.mark.parametrize(("seconds", "slots", "ahead"), [(0.0099, 2, 10), (0.0499, 3, 3), (0.051, 1, 0)])
def test_no_more_is_claimed_ahead_than_starts_within_the_horizon(seconds, slots, ahead):
    assert look_ahead(run_times(*[seconds] * 100), slots) == ahead


def test_slots_that_are_taken_for_long_count_for_nothing():
    assert look_ahead(run_times(*[0.001] * 100), 0) == 0


def test_the_line_is_bounded_however_short_the_tasks():
    assert look_ahead(run_times(*[0.0] * 100), 1000) == MOST


def test_one_long_task_in_ten_ends_the_looking_ahead():
    assert look_ahead(run_times(*([2.0] + [0.0001] * 9) * 10), 5) == 0


def test_what_is_claimed_ahead_is_over_in_time_though_run_times_scatter():
    draw = random.Random(3)
    times = run_times(*[draw.expovariate(1 / 0.002) for _ in range(100)])
    ahead = times.fitting(HORIZON_SECONDS)

    sums = [sum(draw.expovariate(1 / 0.002) for _ in range(ahead)) for _ in range(1000)]

    assert ahead >= 10
    assert sum(each <= HORIZON_SECONDS for each in sums) >= 900


def test_old_run_times_are_forgotten():
    assert look_ahead(run_times(*[5.0] * 100, *[0.001] * 100), 1) == look_ahead(run_times(*[0.001] * 100), 1) > 0
