"""When a cron expression is due, in a time zone whose clocks change.

The rule is that of Debian's cron(8). A job at a *fixed time* (neither the minute nor the hour field begins with ``*``) that
falls into the hour that is skipped runs once, right after the gap; in the hour that is repeated it runs once, the first
time. A *wildcard* job follows elapsed time: nothing is made up, nothing is held back. A change of three hours or more is a
correction of the clock and no daylight saving: fixed times are then treated like wildcards.

croniter parses and walks the calendar on naive wall time; the mapping to moments is ours, because croniter alone runs a
fixed-time job twice when the clock is set back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from croniter import croniter
from croniter.croniter import CroniterBadCronError, CroniterBadDateError

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
MAX_LENGTH = 200
CLOCK_CORRECTION = timedelta(hours=3)
_FIELDS = ("minute", "hour", "day of month", "month", "day of week")
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_NAMES: tuple[dict[str, int], ...] = (
    {},
    {},
    {},
    {
        name: number
        for number, name in enumerate(
            ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
        )
    },
    {name: number for number, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])},
)
_ITEM = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d+))?")
_YEARS_AHEAD = 9  # 29 February can be eight years away


class BadCron(ValueError):
    """The expression or the time zone is not allowed; `part` says which of the two."""

    def __init__(self, message: str, part: str = "cronExpression") -> None:
        super().__init__(message)
        self.part = part


@dataclass(frozen=True)
class Cron:
    """A checked expression: five plain fields, and whether it names fixed times."""

    expression: str
    fixed_time: bool


def parse(text: str) -> Cron:
    """Check an expression of five fields or an alias such as ``@daily``. Raises BadCron with a message for people."""
    if len(text) > MAX_LENGTH:
        raise BadCron(f"A cron expression has at most {MAX_LENGTH} characters, not {len(text):,}.")
    expression = ALIASES.get(text.strip().lower(), text.strip())
    if expression.startswith("@"):
        raise BadCron(f"{text!r} is not known; use one of {', '.join(ALIASES)} or five fields.")
    fields = expression.split()
    if len(fields) != len(_FIELDS):
        raise BadCron(f"{text!r} has {len(fields)} fields; a cron expression has five: {', '.join(_FIELDS)}.")
    checked = " ".join(_checked(field, index) for index, field in enumerate(fields))
    try:
        _naive_after(checked, datetime(2000, 1, 1))
    except (CroniterBadCronError, CroniterBadDateError, ValueError):
        raise BadCron(f"{text!r} is never due: there is no such day.") from None
    return Cron(checked, not checked.split()[0].startswith("*") and not checked.split()[1].startswith("*"))


def _checked(field: str, index: int) -> str:
    return ",".join(_checked_item(item, index) for item in field.lower().split(","))


def _checked_item(item: str, index: int) -> str:
    low, high = _BOUNDS[index]
    match = _ITEM.fullmatch(item)
    if match is None:
        raise BadCron(
            f"{item!r} in the field {_FIELDS[index]} is not understood; use *, 5, 1-5, */10 or a list of these."
        )
    star, first, last, step = match.groups()
    if step is not None and not 1 <= int(step) <= high:
        raise BadCron(f"{item!r} in the field {_FIELDS[index]}: a step is from 1 to {high}.")
    if star:
        return item
    start = _number(first, index)
    end = start if last is None else _number(last, index)
    if last is None and step is not None:
        end = high
    for value in (start, end):
        if not low <= value <= high:
            raise BadCron(f"{item!r} in the field {_FIELDS[index]}: values are from {low} to {high}.")
    if end < start:
        raise BadCron(f"{item!r} in the field {_FIELDS[index]}: a range goes upwards.")
    # croniter reads N-N as the whole field
    return f"{start}" if start == end else f"{start}-{end}" + (f"/{step}" if step else "")


def _number(text: str, index: int) -> int:
    if text in _NAMES[index]:
        return _NAMES[index][text]
    if text.isascii() and text.isdigit():
        return int(text)
    raise BadCron(f"{text!r} is no value of the field {_FIELDS[index]}.")


def zone(name: str) -> ZoneInfo:
    """The IANA time zone of that name. Raises BadCron."""
    if name not in _zones():
        raise BadCron(f"{name!r} is no IANA time zone; use a name such as Europe/Berlin or UTC.", "timezone")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise BadCron(f"{name!r} is no IANA time zone; use a name such as Europe/Berlin or UTC.", "timezone") from None


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def next_after(cron: Cron, timezone: ZoneInfo, after: datetime) -> datetime:
    """The first moment later than `after` (aware) at which the expression is due, aware, in UTC."""
    return next(upcoming(cron, timezone, after))


def upcoming(cron: Cron, timezone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """The moments later than `after` (aware) at which the expression is due, in order, each once, aware, in UTC."""
    last = after.astimezone(UTC)
    while True:
        last = _next_fixed(cron, timezone, last) if cron.fixed_time else _next_elapsed(cron, timezone, last)
        yield last


def _next_fixed(cron: Cron, timezone: ZoneInfo, after: datetime) -> datetime:
    """Walk the wall clock from before any change that could matter; each wall time stands for its first moment."""
    wall = _wall(after, timezone) - timedelta(hours=26)
    while True:
        wall = _naive_after(cron.expression, wall)
        moment = _first_moment(wall, timezone)
        if moment is not None and moment > after:
            return moment


def _first_moment(wall: datetime, timezone: ZoneInfo) -> datetime | None:
    """The first moment at which the wall clock shows `wall`; the end of the gap if it never does; None after a correction."""
    moment = wall.replace(tzinfo=timezone, fold=0).astimezone(UTC)
    if _wall(moment, timezone) == wall:
        return moment
    # In a gap fold=0 reckons with the offset before it and fold=1 with the one after.
    gap = moment - wall.replace(tzinfo=timezone, fold=1).astimezone(UTC)
    if gap >= CLOCK_CORRECTION:
        return None
    return _change_between(moment - timedelta(days=1), moment + timedelta(days=1), timezone)


def _next_elapsed(cron: Cron, timezone: ZoneInfo, after: datetime) -> datetime:
    """Walk stretches of constant offset: within one, wall time and elapsed time run alike."""
    begin, offset = after, _offset(after, timezone)
    wall = (after + offset).replace(tzinfo=None)
    while True:
        moment = (_naive_after(cron.expression, wall) - offset).replace(tzinfo=UTC)
        change = _next_change(begin, moment, timezone)
        if change is None:
            return moment
        # Go on from one second before the change, read by the new offset: a job due at the change itself counts.
        begin, offset = change, _offset(change, timezone)
        wall = (change - timedelta(seconds=1) + offset).replace(tzinfo=None)


def _next_change(start: datetime, end: datetime, timezone: ZoneInfo) -> datetime | None:
    """The first moment after `start`, up to `end`, at which the zone's offset changes; None if it does not."""
    offset, low = _offset(start, timezone), start
    while low < end:
        high = min(low + timedelta(days=7), end)
        if _offset(high, timezone) != offset:
            return _change_between(low, high, timezone)
        low = high
    return None


def _change_between(low: datetime, high: datetime, timezone: ZoneInfo) -> datetime:
    """The full second, after `low` and up to `high`, at which the offset of `low` ends."""
    offset = _offset(low, timezone)
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if _offset(middle, timezone) == offset:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


def _offset(moment: datetime, timezone: ZoneInfo) -> timedelta:
    offset = moment.astimezone(timezone).utcoffset()
    assert offset is not None
    return offset


def _wall(moment: datetime, timezone: ZoneInfo) -> datetime:
    return moment.astimezone(timezone).replace(tzinfo=None, fold=0)


def _naive_after(expression: str, wall: datetime) -> datetime:
    due: datetime = croniter(
        expression, wall, ret_type=datetime, implement_cron_bug=True, max_years_between_matches=_YEARS_AHEAD
    ).get_next()
    return due
