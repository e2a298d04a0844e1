"""Which of many claims that wait for work are to be made again: those for which a task is ready now.

One question for all of them, so that a thousand idle workers cost the database no more than one.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from uuid import UUID

from django.db.models import Q

from tasks.domain.states import TaskStatus
from tasks.models import Task
from workers.gateway import Caller
from workers.open_queues import open_queues


def may_serve(caller: Caller, queue: str, name: str) -> bool:
    """Whether a task of that queue and handler name could be the caller's."""
    return name in caller.names and (not caller.queues or queue in caller.queues)


def with_work(callers: Sequence[Caller]) -> list[int]:
    """The places of those callers, the first ones first, for whom a task is ready; as many as there are tasks.

    All of them are bound to a team. Paused queues have no work.
    """
    teams: dict[tuple[frozenset[str], frozenset[str]], set[UUID | None]] = defaultdict(set)
    for caller in callers:
        teams[caller.queues, caller.names].add(caller.team_id)
    conditions, oldest_seconds = Q(pk__in=[]), 0.0
    for (queues, names), team_ids in teams.items():
        is_open = Q(queue__in=list(open_queues(queues, oldest_seconds)))
        conditions |= is_open & Q(team__in=team_ids, name__in=names)
        oldest_seconds = 1.0
    ready = Task.objects.filter(conditions, status=TaskStatus.QUEUED).values_list("team_id", "queue", "name")
    return _matched(callers, list(ready[: len(callers)]))


def _matched(callers: Sequence[Caller], ready: Sequence[tuple[UUID, str, str]]) -> list[int]:
    waiting: dict[tuple[UUID | None, frozenset[str], frozenset[str]], deque[int]] = defaultdict(deque)
    for place, caller in enumerate(callers):
        waiting[caller.team_id, caller.queues, caller.names].append(place)
    found = []
    for team_id, queue, name in ready:
        heads = [
            places
            for (team, queues, names), places in waiting.items()
            if places and team == team_id and name in names and (not queues or queue in queues)
        ]
        if heads:
            found.append(min(heads, key=lambda places: places[0]).popleft())
    return sorted(found)
