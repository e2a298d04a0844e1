"""The calendar against a simulation that lets every minute pass: every zone, around ten years of changes of the clock."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest

from scheduling.domain.cron import parse, upcoming
from tests.unit.scheduling.clock_simulation import changes, minutes_of_the_clock, runs

FIRST_YEAR, LAST_YEAR = 2018, 2027
SHARDS = 12
AROUND = timedelta(hours=30)
EVERYWHERE = (
    "30 2 * * *",
    "0 0 * * *",
    "0,30 0-5/2 * * *",
    "59 23 31 3,10 *",
    "30 1 */2 * 1-5",
    "15 3 13 * 0,5-7",
    "*/20 * * * *",
    "7 * * * *",
    "30 */2 * * *",
    "*/15 1-3 * * *",
)
QUICK = (
    "Africa/Casablanca",
    "America/New_York",
    "America/Sao_Paulo",
    "Antarctica/Casey",
    "Antarctica/Troll",
    "Asia/Gaza",
    "Asia/Pyongyang",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Pacific/Chatham",
)


def distinct_zones() -> list[str]:
    """One name of every zone; names for the same clock are one zone."""
    by_content: dict[bytes, str] = {}
    for name in sorted(zoneinfo.available_timezones()):
        file = files("tzdata.zoneinfo").joinpath(name)
        by_content.setdefault(file.read_bytes() if file.is_file() else name.encode(), name)
    return sorted(by_content.values())


def expressions_at(change: datetime, timezone: ZoneInfo) -> Iterator[str]:
    """Those that name the times which the clock skips or repeats."""
    before, after = ((change + shift).astimezone(timezone) for shift in (timedelta(minutes=-1), timedelta(0)))
    hours = sorted({hour % 24 for wall in (before, after) for hour in (wall.hour - 1, wall.hour, wall.hour + 1)})
    yield from EVERYWHERE
    yield f"{after.minute} {after.hour} * * *"
    yield f"{before.minute} {before.hour} * * *"
    yield f"5,35,50 {','.join(map(str, hours))} * * *"
    yield f"*/10 {hours[0]} * * *"
    yield f"{after.minute} * {after.day} * *"


def assert_follows_the_rule(name: str, first_year: int, last_year: int) -> int:
    """Compare around each change of the zone; returns how many runs were compared."""
    timezone, compared = ZoneInfo(name), 0
    for change in changes(timezone, first_year, last_year) or [datetime(first_year, 6, 1, tzinfo=UTC)]:
        # The clock is watched from well before, so that the simulation knows what has been shown already.
        clock = minutes_of_the_clock(timezone, change - AROUND - timedelta(hours=30), change + AROUND)
        for expression in expressions_at(change, timezone):
            expected = [moment for moment in runs(expression, clock) if moment > change - AROUND]
            found = list(takewhile(clock[-1][0].__ge__, upcoming(parse(expression), timezone, change - AROUND)))
            assert found == expected, (name, change, expression)
            compared += len(expected)
    return compared


@pytest.mark.parametrize("name", QUICK)
def test_runs_are_those_of_the_simulation(name: str) -> None:
    assert assert_follows_the_rule(name, 2018, 2019) > 100


def test_a_start_at_any_minute_around_a_change_gives_the_next_run_of_the_simulation() -> None:
    for name in ("Europe/Berlin", "Australia/Lord_Howe", "Antarctica/Casey"):
        timezone = ZoneInfo(name)
        for change in changes(timezone, 2018, 2018):
            clock = minutes_of_the_clock(timezone, change - timedelta(hours=30), change + timedelta(hours=30))
            for expression in ("30 2 * * *", "5,35,50 1-3 * * *", "*/20 * * * *", "30 */2 * * *"):
                cron, expected = parse(expression), list(runs(expression, clock))
                for minutes in range(-240, 240, 5):
                    start = change + timedelta(minutes=minutes)
                    following = next(moment for moment in expected if moment > start)
                    assert next(upcoming(cron, timezone, start)) == following, (name, start, expression)


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_runs_are_those_of_the_simulation_in_every_zone(shard: int) -> None:
    zones = distinct_zones()
    assert len(zones) > 300

    for name in zones[shard::SHARDS]:
        assert assert_follows_the_rule(name, FIRST_YEAR, LAST_YEAR) > 0
