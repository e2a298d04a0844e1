"""The table of days in docs/SCHEDULING.md is what the code does."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile

import pytest

from scheduling.domain.cron import parse, touched, upcoming, zone
from tests.support.sources import ROOT

ROW = re.compile(r"^\| [^|]+ \| `([^`|]+)` \| (\w+/\w+) \| (\d{4}-\d\d-\d\d) \| ([^|]+) \|$", re.MULTILINE)
EXAMPLES = ROW.findall((ROOT / "docs/SCHEDULING.md").read_text())


def runs_on(expression: str, timezone: str, day: date) -> list[str]:
    """The runs of a day of the wall clock, those with a star that a change of the clock touches."""
    cron, place = parse(expression), zone(timezone)
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    around = takewhile(lambda at: at < noon + timedelta(days=2), upcoming(cron, place, noon - timedelta(days=2)))
    return [
        moment.astimezone(place).isoformat(timespec="minutes")[11:] + "*" * touched(cron, place, moment)
        for moment in around
        if moment.astimezone(place).date() == day
    ]


def test_the_table_is_found():
    assert len(EXAMPLES) == 20


@pytest.mark.parametrize(("expression", "timezone", "day", "told"), EXAMPLES)
def test_a_worked_example_is_what_happens(expression, timezone, day, told):
    assert (", ".join(runs_on(expression, timezone, date.fromisoformat(day))) or "none") == told
