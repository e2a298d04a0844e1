"""What a claim asks for, and what it wins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tasks.domain.states import TaskStatus


@dataclass(frozen=True)
class Claim:
    """One request for work: who asks, under which id, and for how long."""

    id: UUID
    worker_id: UUID
    lease: timedelta


@dataclass(slots=True)
class ClaimedTask:
    """The columns of a claimed row that its worker needs; a tenth of the cost of a model's instance."""

    pk: UUID
    rank: int
    name: str
    queue: str
    payload: dict[str, Any]
    attempts: int
    timeout_seconds: float
    max_retries: int
    lost_leases: int
    team_id: UUID
    fencing_token: int
    queued_at: datetime | None
    lock: str | None
    lock_fencing_number: int
    when_lost: str
    limit_key: str | None
    request_id: str | None
    traceparent: str | None
    claim_id: UUID
    status: str = TaskStatus.PROCESSING
    capped: bool = False
