"""A request as the ledger sees it: what it may cause."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from tasks.domain.lease import Lease
from tasks.domain.outcome import Outcome
from tasks.queue.index import Hint
from tests.model.events import Event


@dataclass
class Acting:
    """The request that is being served: what it may cause, to which tasks, by which leases or claim."""

    since: datetime
    events: frozenset[Event] = frozenset()
    tasks: frozenset[UUID] | None = None
    keys: frozenset[str | None] = frozenset()
    outcomes: tuple[Outcome, ...] = ()
    leases: frozenset[Lease] = frozenset()
    claim_id: UUID | None = None
    names: frozenset[str] = frozenset()
    team_id: UUID | None = None
    standing: list[Hint] = field(default_factory=list)
    """What stood in the index when its last take ran."""
