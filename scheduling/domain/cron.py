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
from croniter.croniter import CroniterBadDateError

from dtq_site.foundation.errors import BadInput

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
SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def number(self, text: str) -> int:
        if text in self.names:
            return self.low + self.names.index(text)
        if text.isascii() and text.isdigit():
            return int(text)
        raise _bad(f"{text!r} is no value of the field {self.name}.")


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
_ITEM = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d+))?")
_YEARS_AHEAD = 40  # 29 February on one day of the week, over a century's turn


@dataclass(frozen=True)
class Cron:
    """A checked expression: five plain fields, or six with the seconds first."""

    expression: str

    @property
    def fields(self) -> tuple[str, ...]:
        """Its fields from the minute on."""
        return tuple(self.expression.split()[-5:])

    @property
    def has_seconds(self) -> bool:
        """Whether it has a field for seconds."""
        return len(self.expression.split()) == len(_FIELDS)

    @property
    def fixed_time(self) -> bool:
        """Whether it names times of the day: neither minute nor hour begins with a star."""
        minute, hour, *_ = self.fields
        return not minute.startswith("*") and not hour.startswith("*")


def _bad(message: str) -> BadInput:
    return BadInput(message, field="cronExpression")


@lru_cache(maxsize=1024)
def parse(text: str) -> Cron:
    """Check an expression of five or six fields or an alias such as ``@daily``. Raises BadInput on ``cronExpression``."""
    if len(text) > MAX_LENGTH:
        raise _bad(f"A cron expression has at most {MAX_LENGTH} characters, not {len(text):,}.")
    expression = ALIASES.get(text.strip().lower(), text.strip())
    if expression.startswith("@"):
        raise _bad(f"{text!r} is not known; use one of {', '.join(ALIASES)} or five fields.")
    items = expression.lower().split()
    if len(items) not in (5, 6):
        raise _bad(
            f"{text!r} has {len(items)} fields; a cron expression has five: "
            f"{', '.join(field.name for field in _FIELDS[1:])}; or six, with the second first."
        )
    fields = _FIELDS[-len(items) :]
    checked = Cron(" ".join(_checked(item, field) for item, field in zip(items, fields, strict=True)))
    if next(_walk(checked, datetime(2000, 1, 1)), None) is None:
        raise _bad(f"{text!r} is never due: there is no such day.")
    return checked


def _checked(text: str, field: _Field) -> str:
    return ",".join(_checked_item(item, field) for item in text.split(","))


def _checked_item(item: str, field: _Field) -> str:
    match = _ITEM.fullmatch(item)
    if match is None:
        raise _bad(f"{item!r} in the field {field.name} is not understood; use *, 5, 1-5, */10 or a list of these.")
    star, first, last, step = match.groups()
    if step is not None and not 1 <= int(step) <= field.high:
        raise _bad(f"{item!r} in the field {field.name}: a step is from 1 to {field.high}.")
    if star:
        return item
    start = field.number(first)
    end = start if last is None else field.number(last)
    if last is None and step is not None:
        end = field.high
    for value in (start, end):
        if not field.low <= value <= field.high:
            raise _bad(f"{item!r} in the field {field.name}: values are from {field.low} to {field.high}.")
    if end < start:
        raise _bad(f"{item!r} in the field {field.name}: a range goes upwards.")
    # croniter reads N-N as the whole field
    return f"{start}" if start == end else f"{start}-{end}" + (f"/{step}" if step else "")


def zone(name: str) -> ZoneInfo:
    """The IANA time zone of that name. Raises BadInput on ``timezone``."""
    try:
        if name in _zones():
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        pass
    raise BadInput(f"{name!r} is no IANA time zone; use a name such as Europe/Berlin or UTC.", field="timezone")


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


# --- from wall time to moments -------------------------------------------------------------------------------------


def upcoming(cron: Cron, timezone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """The moments later than `after` (aware) at which the expression is due, in order, each once, aware, in UTC."""
    begin = after.astimezone(UTC)
    offset, wall = _offset(begin, timezone), _wall_reached(cron, begin, timezone)
    while True:
        change = None
        for due in _walk(cron, wall):
            moment = (due - offset).replace(tzinfo=UTC)
            if change := _next_change(begin, moment, timezone):
                break
            yield moment
            begin = moment
        if change is None:
            return
        before, offset = offset, _offset(change, timezone)
        wall = _wall_to_pass(cron, change, before, offset)
        if _counts_once(cron, before, offset) and due < wall:
            yield change  # for all that was due in the gap, and at its end
        else:
            wall -= SECOND  # what is due at that very time counts
        begin = change


def touched(cron: Cron, timezone: ZoneInfo, moment: datetime) -> bool:
    """Whether a change of the clock touches a moment at which the expression is due.

    It does if the wall clock shows that time twice, or if the moment is the end of a gap that swallowed what was due.
    """
    local = moment.astimezone(timezone)
    if local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset():
        return True
    before, offset = _offset(moment - SECOND, timezone), _offset(moment, timezone)
    if offset <= before or not _counts_once(cron, before, offset):
        return False
    return next(_walk(cron, _naive(moment, before) - SECOND)) < _naive(moment, offset)


def _wall_reached(cron: Cron, moment: datetime, timezone: ZoneInfo) -> datetime:
    """The wall time up to which everything has been due by `moment`."""
    local = moment.astimezone(timezone)
    before, offset = local.replace(fold=0).utcoffset(), _offset(moment, timezone)
    assert before is not None
    if not local.fold:
        return local.replace(tzinfo=None, microsecond=0)
    change = _change_between(moment - (before - offset), moment, timezone)
    return max(local.replace(tzinfo=None, fold=0, microsecond=0), _wall_to_pass(cron, change, before, offset) - SECOND)


def _wall_to_pass(cron: Cron, change: datetime, before: timedelta, offset: timedelta) -> datetime:
    """From which wall time on jobs are due after a change: for fixed times not before what the clock had shown already."""
    return _naive(change, max(before, offset) if _counts_once(cron, before, offset) else offset)


def _counts_once(cron: Cron, before: timedelta, offset: timedelta) -> bool:
    """Whether what such a change skips is made up for, and what it repeats held back."""
    return cron.fixed_time and abs(offset - before) < CLOCK_CORRECTION


def _next_change(start: datetime, end: datetime, timezone: ZoneInfo) -> datetime | None:
    """The first moment after `start`, up to `end`, at which the zone's offset changes; None if it does not."""
    offset, low = _offset(start, timezone), start
    while low < end:
        high = min(low + timedelta(days=1), end)
        if _offset(high, timezone) != offset:
            return _change_between(low, high, timezone)
        low = high
    return None


def _change_between(low: datetime, high: datetime, timezone: ZoneInfo) -> datetime:
    """The full second, after `low` and up to `high`, at which the offset of `low` ends."""
    offset = _offset(low, timezone)
    while high - low > SECOND:
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


def _naive(moment: datetime, offset: timedelta) -> datetime:
    return (moment + offset).replace(tzinfo=None)


def _walk(cron: Cron, wall: datetime) -> Iterator[datetime]:
    """The wall times after `wall` that the expression names, to the end of the calendar."""
    try:
        walk = croniter(
            cron.expression,
            wall,
            ret_type=datetime,
            implement_cron_bug=True,
            max_years_between_matches=_YEARS_AHEAD,
            second_at_beginning=cron.has_seconds,
        )
        while True:
            yield walk.get_next()
    except CroniterBadDateError:
        return
