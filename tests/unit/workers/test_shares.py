"""How a claim is divided among queues."""

import random
from collections import Counter

import pytest

from workers.domain.shares import shares

WEIGHTS = {"a": 1, "b": 2, "c": 7}


def test_one_queue_gets_all():
    assert shares(5, {"a": 3}, 0.99) == {"a": 5}


def test_what_divides_evenly_is_divided_evenly_whatever_is_drawn():
    for draw in (0.0, 0.5, 0.999):
        assert shares(20, WEIGHTS, draw) == {"a": 2, "b": 4, "c": 14}


@pytest.mark.parametrize(("draw", "winner"), [(0.0, "c"), (0.69, "c"), (0.71, "b"), (0.89, "b"), (0.91, "a")])
def test_one_task_goes_to_one_queue(draw, winner):
    assert shares(1, WEIGHTS, draw) == {winner: 1}


@pytest.mark.parametrize("total", [1, 2, 3, 7, 13, 200])
def test_shares_are_proportional_on_average_and_never_off_by_one_or_more(total):
    draw, rounds = random.Random(total).random, 20_000
    sums: Counter[str] = Counter()
    for _ in range(rounds):
        found = shares(total, WEIGHTS, draw())
        assert sum(found.values()) == total
        assert 0 not in found.values()
        assert all(abs(found.get(name, 0) - total * weight / 10) < 1 for name, weight in WEIGHTS.items())
        sums.update(found)

    for name, weight in WEIGHTS.items():
        assert sums[name] / rounds == pytest.approx(total * weight / 10, abs=0.02)  # over five standard errors


def test_nothing_to_divide_and_nobody_to_divide_it_among():
    assert shares(0, WEIGHTS, 0.5) == {}
    assert shares(3, {}, 0.5) == {}
