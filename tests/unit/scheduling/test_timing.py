"""Slots of intervals and expressions between a start and an end, their jitter, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

import pytest

from dtq_site.foundation.errors import BadInput
from scheduling.domain.timing import LATEST, LONGEST_INTERVAL, LONGEST_JITTER, Calendar, Timing, checked

NOW = datetime(2030, 1, 1, 12, 30, 0, 500_000, UTC)
ONE, OTHER = UUID(int=1), UUID(int=2)


def at(hour: int, minute: int = 0, second: int = 0, day: int = 1) -> datetime:
    return datetime(2030, 1, day, hour, minute, second, tzinfo=UTC)


def timing(**asked: Any) -> Timing:
    names = ("cron_expression", "interval_seconds", "timezone", "starts_at", "ends_at", "jitter_seconds")
    return checked(**{**dict.fromkeys(names), "now": NOW, **asked})


def hourly(**asked: Any) -> Timing:
    return timing(cron_expression="0 * * * *", **asked)


def first(timing: Timing, count: int = 3, after: datetime = NOW) -> list[datetime]:
    return list(islice(timing.slots(after), count))


# --- slots ---------------------------------------------------------------------------------------------------------


def test_an_interval_counts_from_the_second_in_which_it_was_defined():
    assert first(timing(interval_seconds=90)) == [at(12, 31, 30), at(12, 33), at(12, 34, 30)]


def test_an_interval_counts_from_its_start_which_is_its_first_slot():
    assert first(timing(interval_seconds=3600, starts_at=at(14, 7))) == [at(14, 7), at(15, 7), at(16, 7)]


def test_an_interval_that_starts_within_a_second_has_its_slots_at_full_ones_after_it():
    start = at(14) + timedelta(milliseconds=1)

    assert first(timing(interval_seconds=60, starts_at=start), 2) == [at(14, 0, 1), at(14, 1, 1)]


def test_an_interval_whose_start_has_passed_keeps_its_grid():
    assert first(timing(interval_seconds=1800, starts_at=at(3, 10)), 2) == [at(12, 40), at(13, 10)]


def test_an_interval_can_be_told_from_when_it_counts():
    assert first(timing(interval_seconds=1800, counts_from=at(3, 20)), 1) == [at(12, 50)]


def test_no_slot_is_before_the_start_nor_after_the_end():
    bounded = hourly(starts_at=at(14), ends_at=at(16))

    assert first(bounded, 9) == [at(14), at(15), at(16)]
    assert first(bounded, 9, after=at(15)) == [at(16)]
    assert first(bounded, 9, after=at(16)) == []


def test_the_calendar_ends():
    late = LATEST - timedelta(hours=2)

    assert first(hourly(), 9, after=late) == [LATEST - timedelta(hours=1), LATEST]
    assert first(timing(interval_seconds=3600, counts_from=at(3)), 9, after=late) == [
        LATEST - timedelta(hours=1),
        LATEST,
    ]


# --- jitter --------------------------------------------------------------------------------------------------------


def test_jitter_delays_a_slot_always_by_the_same_and_schedules_by_different_amounts():
    jittered = hourly(jitter_seconds=600)

    delays = [Calendar(jittered, ONE).release_of(slot) - slot for slot in first(jittered, 50)]
    again = [Calendar(jittered, ONE).release_of(slot) - slot for slot in first(jittered, 50)]
    others = [Calendar(jittered, OTHER).release_of(slot) - slot for slot in first(jittered, 50)]

    assert delays == again
    assert len(set(delays)) == len(set(others)) == 50 and not set(delays) & set(others)
    assert timedelta(0) <= min(delays) < timedelta(minutes=2)
    assert timedelta(minutes=8) < max(delays) < timedelta(minutes=10)


def test_jitter_never_reaches_the_next_slot():
    jittered = timing(interval_seconds=2, jitter_seconds=3600)
    calendar = Calendar(jittered, ONE)

    for slot in first(jittered, 50):
        assert slot <= calendar.release_of(slot) < slot + timedelta(seconds=2)


def test_the_last_slot_may_take_all_of_its_jitter():
    last = Calendar(hourly(ends_at=at(13), jitter_seconds=LONGEST_JITTER), ONE)

    assert at(13) < last.release_of(at(13)) < at(13, day=2)


# --- the slots that come and those that have passed ----------------------------------------------------------------


def test_the_coming_slot_is_the_first_that_is_released_later_than_now():
    jittered = Calendar(hourly(jitter_seconds=1800), ONE)
    released = jittered.release_of(at(14))
    assert at(14) < released

    assert Calendar(hourly(), ONE).coming(at(13), at(14)) == at(15)
    assert jittered.coming(at(13), at(14)) == at(14)
    assert jittered.coming(at(13), released) == at(15)
    assert jittered.coming(at(14), at(14)) == at(15)
    assert Calendar(hourly(ends_at=at(14)), ONE).coming(at(14), at(14)) is None


@pytest.mark.parametrize("jitter_seconds", [1, 60, LONGEST_JITTER])
@pytest.mark.parametrize("expression", ["* * * * * *", "*/7 * * * * *", "* * 3-11 * * *", "*/5 * * * *", "30 2 * * *"])
def test_the_coming_slot_after_a_pause_follows_those_that_have_been_released(expression, jitter_seconds):
    calendar = Calendar(timing(cron_expression=expression, jitter_seconds=jitter_seconds), ONE)

    for seconds in (0.25, 1, 1.5, 400, 2000):
        now = NOW + timedelta(seconds=seconds)
        walked = next(slot for slot in calendar.timing.slots(NOW) if calendar.release_of(slot) > now)
        assert calendar.coming(NOW, now) == walked


def test_a_day_of_seconds_is_not_walked_through_for_their_jitter(monkeypatch):
    every_second = Calendar(timing(cron_expression="* * * * * *", jitter_seconds=LONGEST_JITTER), ONE)
    looked_at, release_of = [], Calendar.release_of
    monkeypatch.setattr(Calendar, "release_of", lambda self, slot: looked_at.append(slot) or release_of(self, slot))

    coming = every_second.coming(at(12), at(13, day=2))

    assert coming in (at(13, day=2), at(13, 0, 1, day=2))
    assert release_of(every_second, coming) > at(13, day=2)
    assert len(looked_at) < 100


def test_the_newest_that_has_passed_is_told_also_from_within_a_second_on():
    every_second = Calendar(timing(interval_seconds=1), ONE)

    assert every_second.passed(at(13) + timedelta(milliseconds=500), at(13, 0, 2), 1) == [at(13, 0, 2)]


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(1, [at(17)]), (3, [at(15), at(16), at(17)]), (4, [at(14), at(15), at(16), at(17)]), (9, [at(14), at(15), at(16), at(17)])],
)  # fmt: skip
def test_of_the_slots_that_have_passed_the_newest_are_told(limit, expected):
    assert Calendar(hourly(), ONE).passed(at(13), at(17, 20), limit) == expected


def test_nothing_has_passed_at_the_slot_itself():
    assert Calendar(hourly(), ONE).passed(at(13), at(13), 9) == []
    assert Calendar(hourly(), ONE).passed(at(13), at(13, 0, 1), 9) == []


def test_a_slot_has_passed_when_its_jitter_has():
    jittered = Calendar(hourly(jitter_seconds=1800), ONE)
    released = jittered.release_of(at(14))

    assert jittered.passed(at(13), released - timedelta(microseconds=1), 9) == []
    assert jittered.passed(at(13), released, 9) == [at(14)]


def test_years_of_seconds_are_not_walked_through(monkeypatch):
    every_second, looked_at = Calendar(timing(interval_seconds=1), ONE), []
    monkeypatch.setattr(Calendar, "release_of", lambda _, slot: looked_at.append(slot) or slot)

    newest = every_second.passed(NOW.replace(microsecond=0), at(0) + timedelta(days=3650), 5)

    assert newest == [at(0) + timedelta(days=3650, seconds=seconds) for seconds in (-4, -3, -2, -1, 0)]
    assert len(looked_at) < 300


def test_no_change_of_the_clock_touches_an_interval():
    assert not timing(interval_seconds=3600, timezone="Europe/Berlin").is_touched(datetime(2030, 3, 31, 1, tzinfo=UTC))


# --- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({}, "cronExpression"),
        ({"cron_expression": "0 * * * *", "interval_seconds": 5}, "intervalSeconds"),
        ({"cron_expression": "0 0 30 2 *"}, "cronExpression"),
        ({"cron_expression": "61 * * * * *"}, "cronExpression"),
        ({"interval_seconds": 0}, "intervalSeconds"),
        ({"interval_seconds": -1}, "intervalSeconds"),
        ({"interval_seconds": LONGEST_INTERVAL + 1}, "intervalSeconds"),
        ({"interval_seconds": 5, "jitter_seconds": -1}, "jitterSeconds"),
        ({"interval_seconds": 5, "jitter_seconds": LONGEST_JITTER + 1}, "jitterSeconds"),
        ({"interval_seconds": 5, "timezone": "Mars/Olympus"}, "timezone"),
        ({"interval_seconds": 5, "starts_at": at(15), "ends_at": at(14)}, "endsAt"),
        ({"interval_seconds": 3600, "ends_at": at(13)}, "endsAt"),
        ({"cron_expression": "0 0 29 2 *", "ends_at": at(0, day=31)}, "endsAt"),
        ({"interval_seconds": 5, "ends_at": at(3)}, "endsAt"),
        ({"interval_seconds": 5, "starts_at": datetime(1, 1, 1, tzinfo=UTC)}, "startsAt"),
        ({"interval_seconds": 5, "ends_at": datetime(2200, 1, 1, tzinfo=UTC)}, "endsAt"),
        ({"cron_expression": "0 0 1 6 *", "starts_at": LATEST - timedelta(days=30)}, "startsAt"),
    ],
)
def test_what_is_impossible_or_never_due_is_refused_with_its_field(asked, field):
    with pytest.raises(BadInput) as refusal:
        timing(**asked)

    assert refusal.value.field == field
