"""How the past is thinned out, and what a histogram tells of quantiles."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from scheduling.domain.history import KEPT, STEPS, quantile, step_for, step_opened

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
BOUNDS = (1.0, 2.0, 4.0)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("before", "now", "opened"),
    [
        (None, 5, 3600),
        (-1, 0, 3600),
        (3599, 3600, 3600),
        (299, 301, 300),
        (58, 61, 60),
        (1, 11, 10),
        (1, 9, None),
        (20, 20, None),
        (20, 15, None),  # the clock of another scheduler is a little behind
    ],
)
def test_a_sample_opens_the_longest_stretch_that_has_begun_since_the_one_before(
    before: float | None, now: float, opened: int | None
):
    assert step_opened(at(now), None if before is None else at(before)) == opened


def test_a_range_is_told_in_the_finest_step_that_is_kept_for_so_long():
    days = timedelta(days=1)
    asked = [timedelta(minutes=5), timedelta(hours=1), timedelta(hours=6), days, 7 * days, 30 * days, 400 * days]

    assert [step_for(span) for span in asked] == [10, 10, 60, 300, 3600, 3600, 3600]


def test_no_step_has_more_than_a_few_thousand_samples():
    assert max(KEPT[step] / timedelta(seconds=step) for step in STEPS) <= 2160


@pytest.mark.parametrize(
    ("share", "counts", "value"),
    [
        (0.5, (0, 0, 0, 0), None),
        (0.5, (), None),
        (0.5, (4, 0, 0, 0), 0.5),
        (1.0, (4, 0, 0, 0), 1.0),
        (0.5, (2, 2, 0, 0), 1.0),
        (0.75, (2, 2, 0, 0), 1.5),
        (0.99, (0, 0, 100, 0), 3.98),
        (0.95, (1, 0, 0, 9), 4.0),  # beyond the last bound nobody knows
        (0.1, (0, 0, 10, 0), 2.2),
    ],
)
def test_a_quantile_lies_within_the_bucket_that_holds_it(share: float, counts: tuple[int, ...], value: float | None):
    found = quantile(share, counts, BOUNDS)

    assert found == (None if value is None else pytest.approx(value))
