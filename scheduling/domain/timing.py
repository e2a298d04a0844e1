"""When a schedule is due: a cron expression in its time zone or a fixed interval, from a start to an end, with jitter.

A *slot* is a moment at which the schedule is due, a full second. It is released at the slot plus its jitter. The jitter of a
slot follows from the schedule and the slot alone, so it is the same whichever scheduler asks, and however often.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count, islice, takewhile
from uuid import UUID

from dtq_site.foundation.errors import BadInput
from scheduling.domain import cron

DEFAULT_TIMEZONE = "UTC"
LONGEST_INTERVAL = 10 * 366 * 86_400
LONGEST_JITTER = 86_400
TICK = timedelta(microseconds=1)
# No slot is later, so that nobody walks through millennia.
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Timing:
    """A checked definition of slots; see `checked`."""

    cron_expression: str | None
    interval_seconds: int | None
    timezone: str = DEFAULT_TIMEZONE
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    jitter_seconds: int = 0
    counts_from: datetime | None = None  # the first moment of an interval; its slots are whole intervals later

    def slots(self, after: datetime) -> Iterator[datetime]:
        """The slots later than `after`, in order, in UTC. Raises BadInput if the time zone is no longer known."""
        if self.starts_at is not None:
            after = max(after, self.starts_at - TICK)
        slots = self._by_calendar(after) if self.interval_seconds is None else self._by_interval(after)
        end = self.ends_at or LATEST
        return takewhile(lambda slot: slot <= end, slots)

    def _by_calendar(self, after: datetime) -> Iterator[datetime]:
        assert self.cron_expression is not None
        return cron.upcoming(cron.parse(self.cron_expression), cron.zone(self.timezone), after)

    def _by_interval(self, after: datetime) -> Iterator[datetime]:
        assert self.interval_seconds is not None and self.counts_from is not None
        interval = timedelta(seconds=self.interval_seconds)
        first = max((after - self.counts_from) // interval + 1, 0)
        return (self.counts_from + number * interval for number in count(first))

    def is_touched(self, slot: datetime) -> bool:
        """Whether a change of the clock touches the slot; see `cron.touched`."""
        if self.cron_expression is None:
            return False
        return cron.touched(cron.parse(self.cron_expression), cron.zone(self.timezone), slot)


def checked(
    *,
    cron_expression: str | None,
    interval_seconds: int | None,
    timezone: str | None,
    starts_at: datetime | None,
    ends_at: datetime | None,
    jitter_seconds: int | None,
    now: datetime,
    counts_from: datetime | None = None,
) -> Timing:
    """The timing that these values mean. Raises BadInput naming the field that is wrong.

    An interval counts from `counts_from`, else from its start, else from `now`.
    """
    if cron_expression is not None and interval_seconds is not None:
        raise BadInput("Give a cronExpression or intervalSeconds, not both.", field="intervalSeconds")
    if cron_expression is not None:
        cron.parse(cron_expression)
    elif interval_seconds is None:
        raise BadInput('Say when it is due: give a cronExpression such as "0 2 * * *", or intervalSeconds.',
                       field="cronExpression")  # fmt: skip
    elif not 1 <= interval_seconds <= LONGEST_INTERVAL:
        raise BadInput(f"intervalSeconds must be from 1 to {LONGEST_INTERVAL}.", field="intervalSeconds")
    if not 0 <= (jitter_seconds or 0) <= LONGEST_JITTER:
        raise BadInput(f"jitterSeconds must be from 0 to {LONGEST_JITTER}.", field="jitterSeconds")
    timezone = DEFAULT_TIMEZONE if timezone is None else timezone
    cron.zone(timezone)
    check_moment(starts_at, "startsAt")
    check_moment(ends_at, "endsAt")
    if starts_at is not None and ends_at is not None and ends_at < starts_at:
        raise BadInput("endsAt is before startsAt.", field="endsAt")
    timing = Timing(
        None if cron_expression is None else cron_expression.strip(),
        interval_seconds,
        timezone,
        starts_at,
        ends_at,
        jitter_seconds or 0,
        None if interval_seconds is None else counts_from or _first_of_interval(starts_at, now),
    )
    _refuse_never_due(timing, now)
    return timing


def check_moment(moment: datetime | None, field: str) -> None:
    """Refuse a moment that no calendar here reckons with. Raises BadInput naming the field."""
    if moment is not None and not EARLIEST <= moment < LATEST:
        raise BadInput(f"{field} must be from {EARLIEST.year} to {LATEST.year - 1}.", field=field)


def _first_of_interval(starts_at: datetime | None, now: datetime) -> datetime:
    """A full second, as slots are: not before the start, or the one in which `now` lies."""
    whole = (starts_at or now).astimezone(UTC).replace(microsecond=0)
    return whole + cron.SECOND if starts_at is not None and whole < starts_at else whole


def _refuse_never_due(timing: Timing, now: datetime) -> None:
    if next(timing.slots(now), None) is None:
        if timing.ends_at is None:
            raise BadInput("It would never be due after startsAt.", field="startsAt")
        raise BadInput("It would never be due from now, or from startsAt, to endsAt.", field="endsAt")


@dataclass(frozen=True)
class Calendar:
    """The slots of one schedule, and when each is released."""

    timing: Timing
    schedule_id: UUID

    def release_of(self, slot: datetime) -> datetime:
        """When the slot is released: at most its jitter later, and always before the slot that follows it."""
        most = timedelta(seconds=self.timing.jitter_seconds)
        if not most:
            return slot
        following = next(self.timing.slots(slot), None)
        if following is not None:
            most = min(most, following - slot)
        drawn = hashlib.sha256(self.schedule_id.bytes + slot.isoformat().encode()).digest()
        return slot + most * (int.from_bytes(drawn[:4]) / 2**32)

    def coming(self, after: datetime, now: datetime) -> datetime | None:
        """The first slot later than `after` that is released later than `now`; None if there is none any more.

        Slots are released in their order, so it follows the newest that has been released, however many were.
        """
        begin = max(after, now - timedelta(seconds=self.timing.jitter_seconds))
        first = next(self.timing.slots(begin), None)
        if first is None or self.release_of(first) > now:
            return first
        (newest,) = self.passed(begin, now, 1)
        return next(self.timing.slots(newest), None)

    def passed(self, after: datetime, now: datetime, limit: int) -> list[datetime]:
        """The slots later than `after` that should have been released by `now`: the newest `limit` of them.

        However many there were, few are looked at: the moment from which on there are `limit` is found by halving.
        """

        def are_fewer(second: int) -> bool:
            return len(list(islice(self._until(now, after + timedelta(seconds=second)), limit))) < limit

        seconds = range((now - after) // cron.SECOND + 1)
        skipped = max(bisect_left(seconds, True, key=are_fewer) - 1, 0)
        return list(islice(self._until(now, after + timedelta(seconds=skipped)), limit))

    def _until(self, now: datetime, after: datetime) -> Iterator[datetime]:
        return takewhile(lambda slot: self.release_of(slot) <= now, self.timing.slots(after))
