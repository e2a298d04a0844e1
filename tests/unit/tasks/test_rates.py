"""Rates: what may be written, and what a bucket gives, beside a simulation that refills it token by token."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dtq_site.foundation.errors import BadInput
from tasks.domain import rates
from tasks.domain.rates import Rate, read_rate

NOW = 1_900_000_000_000_000
SECOND = 1_000_000


@pytest.mark.parametrize(
    ("text", "burst", "rate", "interval_us"),
    [
        ("100/m", None, Rate(100, "m", 1), 600_000),
        ("100/m", 20, Rate(100, "m", 20), 600_000),
        (" 50/s ", None, Rate(50, "s", 5), 20_000),
        ("3/s", None, Rate(3, "s", 1), 333_333),
        ("5000/h", None, Rate(5000, "h", 1), 720_000),
        ("1/d", None, Rate(1, "d", 1), 86_400 * SECOND),
        ("10000/s", None, Rate(10_000, "s", 1000), 100),
        ("600000/m", 1, Rate(600_000, "m", 1), 100),
    ],
)
def test_a_rate_is_a_number_and_a_unit_of_time(text, burst, rate, interval_us):
    read = read_rate(text, burst)

    assert (read, read.interval_us, str(read)) == (rate, interval_us, text.strip())


@pytest.mark.parametrize("text", ["", "100", "100/", "/m", "0/m", "-1/m", "1.5/m", "100/w", "100/m/m", "1e3/s", "٣/s"])
def test_what_is_no_rate_is_refused_with_an_example(text):
    with pytest.raises(BadInput, match='write one such as "100/m"') as refused:
        read_rate(text)

    assert refused.value.field == "rateLimit"


@pytest.mark.parametrize("text", ["10001/s", "600001/m", "999999999/h"])
def test_a_rate_beyond_all_measure_is_refused(text):
    with pytest.raises(BadInput, match="above 10,000 a second"):
        read_rate(text)


@pytest.mark.parametrize("burst", [0, -1, 100_001])
def test_a_burst_has_bounds(burst):
    with pytest.raises(BadInput) as refused:
        read_rate("1/s", burst)

    assert refused.value.field == "burst"


def test_a_full_bucket_gives_its_burst_at_once_and_then_a_token_each_interval():
    rate, full_at, taken = Rate(10, "s", 3), 0, []

    for step in range(11):
        count, full_at = rates.take(rate, full_at, NOW + step * 50_000, 100)
        taken.append(count)

    assert taken == [3, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]


def test_no_more_is_taken_than_is_wanted_and_looking_takes_nothing():
    rate = Rate(10, "s", 5)

    assert rates.take(rate, 0, NOW, 2) == (2, NOW + 200_000)
    assert rates.take(rate, NOW + 200_000, NOW, 0) == (0, NOW + 200_000)
    assert rates.take(rate, NOW + 500_000, NOW, 1) == (0, NOW + 500_000)


def test_what_is_given_back_can_be_taken_again():
    rate = Rate(10, "s", 5)
    _, full_at = rates.take(rate, 0, NOW, 5)

    _, full_at = rates.take(rate, full_at, NOW, -2)

    assert rates.take(rate, full_at, NOW, 5)[0] == 2


def test_who_is_a_little_late_loses_nothing_and_who_is_very_late_gains_nothing():
    rate, full_at, starts = Rate(10, "s", 1), 0, []

    for step in range(100):
        count, full_at = rates.take(rate, full_at, NOW + step * 100_000 + (step * 37_000) % 90_000, 1)
        starts.append(count)

    assert starts == [1] * 100
    late = full_at + rate.grace_us
    assert rates.take(rate, full_at, late, 5) == (1, late + 100_000)
    assert rates.take(rate, full_at, late - 1, 5) == (1, full_at + 100_000)


def test_the_moment_of_a_token_is_told_for_each_place_in_line():
    rate = Rate(10, "s", 2)
    taken, full_at = rates.take(rate, 0, NOW, 5)

    assert taken == 2
    assert [rates.token_at(rate, full_at, NOW, ahead) - NOW for ahead in range(3)] == [100_000, 200_000, 300_000]
    assert rates.token_at(rate, 0, NOW) == rates.token_at(rate, 0, NOW, 1) == NOW
    assert rates.take(rate, full_at, NOW + 99_999, 1)[0] == 0
    assert rates.take(rate, full_at, NOW + 100_000, 1)[0] == 1


def test_a_rate_that_was_raised_is_felt_at_once():
    _, full_at = rates.take(Rate(1, "h", 10), 0, NOW, 10)

    assert rates.token_at(Rate(10, "s", 10), full_at, NOW) == NOW + 100_000


class Simulation:
    """A bucket as one would draw it: every token that is out has a moment at which it is back, one interval after the other."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self.back_at: list[int] = []

    def take(self, now: int, wanted: int) -> int:
        taken = 0
        while taken < wanted and sum(moment > now for moment in self.back_at) < self.rate.burst:
            last = self.back_at[-1] if self.back_at else 0
            begins = last if last > now - self.rate.grace_us else now
            self.back_at.append(begins + self.rate.interval_us)
            taken += 1
        return taken


@given(
    count=st.integers(1, 5000),
    unit=st.sampled_from("smh"),
    burst=st.integers(1, 30),
    steps=st.lists(st.tuples(st.integers(0, 3_000_000), st.integers(0, 40)), max_size=60),
)
@example(count=1283, unit="m", burst=1, steps=[(0, 0), (1, 1), (46_764, 1)])
def test_a_bucket_gives_what_the_simulation_gives(count, unit, burst, steps):
    rate = read_rate(f"{count}/{unit}", burst)
    simulation, full_at, now = Simulation(rate), 0, NOW

    for pause, wanted in steps:
        now += pause
        taken, full_then = rates.take(rate, full_at, now, wanted)
        assert taken == simulation.take(now, wanted)
        full_at = full_then if taken else full_at


@given(
    count=st.integers(1, 2000),
    burst=st.integers(1, 50),
    pauses=st.lists(st.integers(0, 400_000), min_size=1, max_size=200),
)
def test_in_no_stretch_of_time_start_more_than_the_burst_and_what_comes_back_in_it(count, burst, pauses):
    rate, full_at, now, starts = Rate(count, "s", burst), 0, NOW, []

    for pause in pauses:
        now += pause
        taken, full_at = rates.take(rate, full_at, now, 1000)
        starts.append((now, taken))

    for first in range(0, len(starts), 7):
        total = 0
        for moment, taken in starts[first:]:
            total += taken
            assert total <= burst + (moment - starts[first][0] + rate.grace_us) / rate.interval_us
