"""What subscribers to tasks and queues are to be shown: reads the rows that messages name, and keeps versions from going back.

Messages may be lost, repeated or late; the rows decide. A task that somebody follows by its id is looked at from time to
time as well, so whatever becomes of the messages, its end is shown.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from dtq_site.foundation.clock import Clock, elapsed_clock
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.news import News
from tasks import events, versions
from tasks.events import Change
from tasks.models import Task

RECHECK_SECONDS = 5.0
"""How often the followed tasks are looked at although nothing was heard of them."""

LATEST_COMMIT = timedelta(seconds=5)
"""How much older than its commit the moment may be that a change bears."""

MOST_CAUGHT_UP = 5000
_MOST_REMEMBERED = 20_000


@dataclass(eq=False)
class TaskInterest:
    """What one subscription wants to see of which tasks; a `team_id` of None is every team.

    Of the one task that it follows, if it follows one, it has seen `version` and `status`.
    """

    change: Change
    team_id: UUID | None
    queue: str | None
    name: str | None
    opened_at: datetime
    unselected: frozenset[str]
    task_id: UUID | None = None
    version: int = 0
    status: str | None = None

    def covers(self, task: Task) -> bool:
        """Whether it is about this task."""
        return (
            self.team_id in (None, task.team_id)
            and self.queue in (None, task.queue)
            and self.name in (None, task.name)
            and self.task_id in (None, task.pk)
        )


class TaskSource:
    """A Source of changed tasks. The root of its news is the row."""

    message_type = events.TYPE

    def __init__(self, clock: Clock = database_clock) -> None:
        self._clock = clock
        self._messages: deque[Mapping[str, Any]] = deque()
        self._heard: dict[UUID, set[Change]] = {}
        self._shown = {change: _Versions() for change in Change}
        self._started: set[TaskInterest] = set()
        self._recheck_at = 0.0

    def hear(self, message: Mapping[str, Any]) -> None:
        """See Source."""
        self._messages.append(message)

    def is_due(self, now: float) -> bool:
        """See Source."""
        return now >= self._recheck_at

    def look(self, interests: Sequence[TaskInterest], missed_seconds: float | None) -> Iterable[News]:
        """See Source."""
        while self._messages:
            change, task_ids = events.read(self._messages.popleft())
            for task_id in task_ids:
                self._heard.setdefault(task_id, set()).add(change)
        followers, streams = _parted(interests)
        caught_up = self._changed_meanwhile(missed_seconds) if streams and missed_seconds is not None else ()
        wanted = dict.fromkeys(self._heard if streams else [id_ for id_ in self._heard if id_ in followers])
        wanted |= dict.fromkeys(caught_up) | dict.fromkeys(self._passed_by(followers, missed_seconds is not None))
        unselected = frozenset.intersection(*(interest.unselected for interest in interests))
        rows = versions.tasks_by_id(wanted, without=unselected)
        heard, self._heard = self._heard, {}
        self._started = set(interests)
        for task_id in wanted:
            following = followers.get(task_id, [])
            task = rows.get(task_id)
            if task is None:
                yield News(task_id, None, following)
                continue
            changes, late = heard.get(task_id, set()), missed_seconds is not None
            told = [each for each in following if _is_new_to_follower(each, task, changes, late)]
            told += self._streams_told(streams, task, changes, late)
            yield News(task_id, task, told)

    def _changed_meanwhile(self, missed_seconds: float) -> Sequence[UUID]:
        since = self._clock.now() - timedelta(seconds=missed_seconds) - LATEST_COMMIT
        return versions.changed_since(since, MOST_CAUGHT_UP)

    def _passed_by(self, followers: Mapping[UUID, Sequence[TaskInterest]], late: bool) -> list[UUID]:
        """The followed tasks of which there may be more to show than messages said."""
        now = elapsed_clock()
        if late or now >= self._recheck_at:
            self._recheck_at = now + RECHECK_SECONDS
            candidates: Iterable[UUID] = followers
        else:
            candidates = [id_ for id_, those in followers.items() if not self._started.issuperset(those)]
        present = versions.versions(list(candidates))
        return [id_ for id_ in candidates if present.get(id_) != min(each.version for each in followers[id_])]

    def _streams_told(
        self, streams: Mapping[Change, Sequence[TaskInterest]], task: Task, changes: Collection[Change], late: bool
    ) -> Iterator[TaskInterest]:
        for change, those in streams.items():
            is_told = bool(changes) if change is Change.UPDATED else change in changes
            if (is_told or late) and self._shown[change].is_news(task, once=change is Change.CREATED):
                moment = task.created_at if change is Change.CREATED else task.updated_at
                yield from (each for each in those if each.covers(task) and (is_told or moment >= each.opened_at))


def _parted(
    interests: Sequence[TaskInterest],
) -> tuple[dict[UUID, list[TaskInterest]], dict[Change, list[TaskInterest]]]:
    """Those that follow one task, by its id, and the others by what they want to see."""
    followers, streams = defaultdict(list), defaultdict(list)
    for interest in interests:
        if interest.task_id is None:
            streams[interest.change].append(interest)
        else:
            followers[interest.task_id].append(interest)
    return followers, streams


def _is_new_to_follower(interest: TaskInterest, task: Task, changes: Collection[Change], late: bool) -> bool:
    """Whether to show it to a subscription that follows it, which then has seen it."""
    moved = late or Change.MOVED in changes or task.status != interest.status
    if (
        task.version <= interest.version
        or not interest.covers(task)
        or not (moved or interest.change is Change.UPDATED)
    ):
        return False
    interest.version, interest.status = task.version, task.status
    return True


class _Versions:
    """The versions that were shown of the tasks that changed last."""

    def __init__(self) -> None:
        self._shown: OrderedDict[UUID, int] = OrderedDict()

    def is_news(self, task: Task, *, once: bool) -> bool:
        """Whether this version, or if `once` the task, has not been shown; it has from now on."""
        known = self._shown.get(task.pk)
        if known is not None and (once or known >= task.version):
            return False
        self._shown[task.pk] = task.version
        self._shown.move_to_end(task.pk)
        if len(self._shown) > _MOST_REMEMBERED:
            self._shown.popitem(last=False)
        return True


# --- queues --------------------------------------------------------------------------------------------------------

QUEUES_SECONDS = 1.0
QUEUES_SHARE = 0.1
"""How often queues are counted, and the share of the time that the counting may take."""

QUEUES = "queues"


@dataclass(eq=False)
class QueueInterest:
    """A subscription that is shown the queues whenever they look different."""


class QueueSource:
    """A Source that has the queues read again and again; the selection does that, so its news has no root to speak of."""

    message_type = None

    def __init__(self) -> None:
        self._due_at = 0.0

    def hear(self, message: Mapping[str, Any]) -> None:
        """See Source."""

    def is_due(self, now: float) -> bool:
        """See Source."""
        return now >= self._due_at

    def look(self, interests: Sequence[QueueInterest], missed_seconds: float | None) -> Iterable[News]:
        """See Source. Counting a million tasks takes a while, and is then done less often."""
        began = elapsed_clock()
        yield News(QUEUES, QUEUES, interests, repeats=False)
        now = elapsed_clock()
        self._due_at = now + max(QUEUES_SECONDS, (now - began) / QUEUES_SHARE)
