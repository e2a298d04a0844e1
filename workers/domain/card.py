"""What a worker says of itself when it signs on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True)
class WorkerCard:
    """One worker process. No `queues` means all of them; `handlers` maps each name to its declaration as JSON."""

    id: UUID
    name: str
    hostname: str
    pid: int
    queues: tuple[str, ...]
    handlers: Mapping[str, Mapping[str, Any]]
    concurrency: int
    transport: str
    version: str
    team_id: UUID | None = None
