"""What the written rule says, found out by letting every minute pass: no calendar arithmetic, nothing of the product.

Like a cron that looks at the wall clock once a minute. Fixed times whose minute was jumped over run in the minute after the
jump; they do not run again while the clock shows what it has shown before. Jumps of three hours or more are corrections of
the clock: what it shows is what counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
CORRECTION = timedelta(hours=3)
RANGES = (range(60), range(24), range(1, 32), range(1, 13), range(8))


class Job:
    """A cron expression of five fields, numbers only."""

    def __init__(self, expression: str) -> None:
        texts = expression.split()
        self.minutes, self.hours, self.days, self.months, self.weekdays = (
            set().union(*(_values(item, allowed) for item in text.split(",")))
            for text, allowed in zip(texts, RANGES, strict=True)
        )
        if 7 in self.weekdays:
            self.weekdays.add(0)
        self.is_fixed = not texts[0].startswith("*") and not texts[1].startswith("*")
        self.needs_both_days = texts[2].startswith("*") or texts[4].startswith("*")

    def names(self, wall: datetime) -> bool:
        """Whether this minute of the wall clock is one of those that the expression names."""
        if wall.minute not in self.minutes or wall.hour not in self.hours or wall.month not in self.months:
            return False
        days = (wall.day in self.days, wall.isoweekday() % 7 in self.weekdays)
        return all(days) if self.needs_both_days else any(days)


def _values(item: str, allowed: range) -> set[int]:
    span, _, step = item.partition("/")
    if span == "*":
        first, last = allowed[0], allowed[-1]
    else:
        first, _, end = span.partition("-")
        last = int(end) if end else allowed[-1] if step else int(first)
    return set(range(int(first), last + 1, int(step or 1)))


def minutes_of_the_clock(timezone: ZoneInfo, begin: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """Every minute from `begin` to `end`, and what the wall clock shows in it."""
    moments = [begin + number * MINUTE for number in range((end - begin) // MINUTE)]
    return [(moment, moment.astimezone(timezone).replace(tzinfo=None, fold=0)) for moment in moments]


def runs(expression: str, clock: Sequence[tuple[datetime, datetime]]) -> Iterator[datetime]:
    """The moments at which the job runs; the clock must begin long enough before a change to have shown all."""
    job = Job(expression)
    previous = latest = clock[0][1] - MINUTE
    for moment, wall in clock:
        jump = wall - previous - MINUTE
        if abs(jump) >= CORRECTION:
            jump, latest = timedelta(0), wall - MINUTE
        if job.is_fixed:
            newly_shown = wall > latest
            passed = [wall] if newly_shown else []
            passed += [previous + number * MINUTE for number in range(1, jump // MINUTE + 1)]
            due = any(map(job.names, passed))
        else:
            due = job.names(wall)
        if due:
            yield moment
        previous, latest = wall, max(wall, latest)


def changes(timezone: ZoneInfo, first_year: int, last_year: int) -> list[datetime]:
    """The minutes in which the zone's offset changes."""
    found = []
    moment, step = datetime(first_year, 1, 1, tzinfo=UTC), timedelta(hours=6)
    while moment.year <= last_year:
        if moment.astimezone(timezone).utcoffset() != (moment + step).astimezone(timezone).utcoffset():
            old = moment.astimezone(timezone).utcoffset()
            minute = moment
            while minute.astimezone(timezone).utcoffset() == old:
                minute += MINUTE
            found.append(minute)
        moment += step
    return found
