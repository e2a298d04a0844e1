"""What subscribers to workers are to be shown: who came, who changed what it says of itself, who fell silent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings

from dtq_site.foundation.clock import Clock, elapsed_clock
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.news import News
from workers import selectors
from workers.domain.liveness import is_online

LOOK_SECONDS = 1.0

State = tuple[str, bool]


@dataclass(eq=False)
class WorkerInterest:
    """A subscription to the workers that serve a team, or all if `team_id` is None."""

    team_id: UUID | None


class WorkerSource:
    """A Source that looks at the workers' rows every second: a worker that falls silent sends no message.

    The root of its news is the row.
    """

    message_type = None

    def __init__(self, clock: Clock = database_clock) -> None:
        self._clock = clock
        self._known: Mapping[UUID, State] = {}
        self._present: set[WorkerInterest] = set()
        self._looked_at = float("-inf")

    def hear(self, message: Mapping[str, Any]) -> None:
        """See Source."""

    def is_due(self, now: float) -> bool:
        """See Source."""
        return now - self._looked_at >= LOOK_SECONDS

    def look(self, interests: Sequence[WorkerInterest], missed_seconds: float | None) -> Iterable[News]:
        """See Source. Who was not there at the last look is shown nothing by this one."""
        states = self._states()
        changed = [id_ for id_, state in states.items() if self._known.get(id_) != state]
        present = [each for each in interests if each in self._present]
        rows = selectors.by_ids(changed) if present else {}
        self._known, self._present, self._looked_at = states, set(interests), elapsed_clock()
        for id_, worker in rows.items():
            yield News(id_, worker, [each for each in present if _serves(worker.team_id, each.team_id)])

    def _states(self) -> dict[UUID, State]:
        now, offline_after = self._clock.now(), settings.DTQ_WORKERS.offline_after
        return {
            id_: (status, is_online(status, last_heartbeat, now, offline_after))
            for id_, status, last_heartbeat in selectors.last_words()
        }


def _serves(team_id: UUID | None, wanted: UUID | None) -> bool:
    return team_id is None or wanted in (None, team_id)
