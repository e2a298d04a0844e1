"""Which task goes first."""

import pytest

from tasks.domain.priority import LEVELS, STRICT_WEIGHT, level_ms, level_name, parse_priority, rank

NOW_MS = 1_893_499_200_000
YEAR_2109_MS = 4_386_000_000_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, 7),
        (-100, -100),
        (100, 100),
        ("7", 7),
        (" -3 ", -3),
        ("HIGH", 10),
        ("high", 10),
        (" Critical ", 20),
        ("normal", 5),
        ("LOW", 1),
    ],
)
def test_integers_and_levels_in_any_case_are_read(value, expected):
    assert parse_priority(value) == expected


@pytest.mark.parametrize("value", [-101, 101, "urgent", "", "1.5", 5.0, None, True, False, [5]])
def test_anything_else_is_refused_with_a_remedy(value):
    with pytest.raises(ValueError) as refusal:
        parse_priority(value)

    assert str(refusal.value) == (
        f"{value!r} is no priority: use a whole number from -100 to 100 or one of CRITICAL, HIGH, NORMAL, LOW"
    )


@pytest.mark.parametrize(
    ("priority", "name"),
    [(100, "CRITICAL"), (20, "CRITICAL"), (19, "HIGH"), (10, "HIGH"), (9, "NORMAL"), (5, "NORMAL"), (4, "LOW"),
     (1, "LOW"), (0, "LOW"), (-100, "LOW")],
)  # fmt: skip
def test_the_level_is_the_highest_at_or_below(priority, name):
    assert level_name(priority) == name


def test_a_higher_priority_goes_before_any_age():
    oldest_low, newest_high = rank(LEVELS["LOW"], 0), rank(LEVELS["LOW"] + 1, YEAR_2109_MS)

    assert newest_high < oldest_low


def test_at_equal_priority_the_earlier_goes_first():
    assert rank(5, NOW_MS) < rank(5, NOW_MS + 1)


def test_ranks_stay_exact_in_a_double():
    highest = rank(-100, YEAR_2109_MS)

    assert 0 < rank(100, NOW_MS) < highest < 2**50
    assert int(float(highest)) == highest


def test_a_small_weight_bounds_how_far_priority_overtakes():
    minute = 60_000
    low = rank(1, NOW_MS, minute)

    assert rank(2, NOW_MS + minute - 1, minute) < low < rank(2, NOW_MS + minute + 1, minute)


def test_the_rank_is_the_moment_plus_the_weight_of_the_missing_levels():
    assert rank(97, NOW_MS) == NOW_MS + 3 * STRICT_WEIGHT
    assert rank(97, NOW_MS, level_ms(60)) == NOW_MS + 180_000


def test_without_ageing_the_order_is_strict():
    assert level_ms(None) == STRICT_WEIGHT
