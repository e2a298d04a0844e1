"""Reads about what went wrong: how attempts ended that did not complete, and dead letters by what they died of."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import F, Window
from django.db.models.functions import Left, RowNumber

from accounts.identity import Identity
from tasks import selectors
from tasks.domain.states import TaskStatus
from tasks.filters import TaskFilter
from tasks.listing import TaskOrder, positions
from tasks.models import Task, TaskAttempt

MOST_ENDINGS = 100
LOOKED_AT = 2_000
"""How many dead letters are looked at, the ones that died last."""

_BEGINNING = 2_000
_LONGEST_GIST = 200
_GAP = "…"
_VARYING = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|0x[0-9a-f]+|\b[0-9a-f]{12,}\b|\d+", re.IGNORECASE)


@dataclass
class DeadLetterGroup:
    """Dead letters of one handler whose errors differ in numbers and ids at most."""

    name: str
    gist: str
    """The line of the error that says what was wrong, with a gap in the place of what varies."""
    count: int
    latest_at: datetime
    latest_id: UUID

    @property
    def common_text(self) -> str | None:
        """The longest text that stands in all of these errors, by which `TaskFilter.error` finds them; None if there is none."""
        return max((part.strip() for part in self.gist.split(_GAP)), key=len) or None


def endings(task_ids: Collection[UUID]) -> list[TaskAttempt]:
    """How the attempts of these tasks ended that did not complete, at most MOST_ENDINGS of each, the earliest first."""
    backwards = Window(RowNumber(), partition_by=F("task_id"), order_by=F("pk").desc())
    newest = TaskAttempt.objects.filter(task_id__in=task_ids).annotate(age=backwards).filter(age__lte=MOST_ENDINGS)
    return list(newest.order_by("pk"))


def dead_letters_by_error(identity: Identity, limit: int) -> list[DeadLetterGroup]:
    """The largest groups of the dead letters that the account may see, of those LOOKED_AT that died last."""
    wanted = selectors.confined(TaskFilter(status=[TaskStatus.DEAD_LETTER]), identity)
    found = positions(selectors.visible_to(identity), wanted, TaskOrder.UPDATED, LOOKED_AT)
    rows = Task.objects.filter(pk__in=[position[-1] for position in found])
    groups: dict[tuple[str, str], list[tuple[datetime, UUID]]] = defaultdict(list)
    for name, error, at, task_id in rows.values_list("name", Left("error", _BEGINNING), "updated_at", "pk"):
        groups[name, gist(error)].append((at, task_id))
    sized = [DeadLetterGroup(name, text, len(members), *max(members)) for (name, text), members in groups.items()]
    return sorted(sized, key=lambda group: (group.count, group.latest_at), reverse=True)[:limit]


def gist(error: str) -> str:
    """The line of an error that says what was wrong, without what varies from one task to the next: numbers and ids."""
    return _VARYING.sub(_GAP, telling_line(error)[:_LONGEST_GIST])


def telling_line(error: str) -> str:
    """The line of an error that says what was wrong: the last one of a traceback, else the first one."""
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    return (lines[-1] if lines[0].startswith("Traceback ") else lines[0]) if lines else ""
