"""How what a worker keeps is written as rows of its file, and read again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from tasks.domain.lease import Lease, LeasedTask
from tasks.domain.outcome import Outcome, OutcomeKind, spelled_out
from tasks.handling.port import EnqueueRequest
from workers.transports.base import Note

Row = tuple[Any, ...]
UNREADABLE = (AttributeError, KeyError, TypeError, ValueError)
"""What reading a row that was not written here may raise."""


@dataclass(frozen=True)
class ClaimedRow:
    """A claimed task and its lease, which counts from when the three clocks read `sent`.

    One whose handler has not begun, or only just, may be run by whoever finds it; one that was given up may be another's.
    """

    task: LeasedTask
    begun: bool
    sent: tuple[float, float, float]
    given_up: bool = False


@dataclass(frozen=True)
class AskedClaim:
    """A claim that has been sent, and that nobody knows the answer to."""

    worker_id: UUID
    claim_id: UUID


@dataclass(frozen=True)
class Creation:
    """A task to be created, with the key that makes it one however often it is told of. `parent` is the asking task.

    Those of the same `call` depend on each other: they are created together or not at all. The empty one is of those that
    depend on nobody.
    """

    request: EnqueueRequest
    asked_at: datetime
    parent: Lease | None = None
    call: str = ""

    @property
    def key(self) -> str:
        """The idempotency key, which it always has."""
        assert self.request.idempotency_key is not None
        return self.request.idempotency_key


def compact(value: Any) -> str:
    """JSON without blanks."""
    return json.dumps(value, separators=(",", ":"))


def lease_row(lease: Lease) -> Row:
    """The three columns by which every table knows a lease."""
    return (str(lease.task_id), lease.fencing_token, str(lease.claim_id))


def read_lease(row: Row) -> Lease:
    """The lease of a row that begins with its position."""
    _, task_id, fencing_token, claim_id, *_ = row
    return Lease(UUID(task_id), fencing_token, UUID(claim_id))


# --- what is to be told --------------------------------------------------------------------------------------------


def outcome_row(outcome: Outcome) -> Row:
    """The row of an outcome, without its position."""
    return (
        *lease_row(outcome.lease),
        str(outcome.kind),
        outcome.run_seconds,
        compact(outcome.result),
        spelled_out(outcome.error),
        outcome.retry_delay_seconds,
    )


def read_outcome(row: Row) -> Outcome:
    """The outcome of a row."""
    kind, run_seconds, result, error, retry_delay_seconds = row[4:]
    return Outcome(read_lease(row), OutcomeKind(kind), run_seconds, json.loads(result), error, retry_delay_seconds)


def note_row(note: Note) -> Row:
    """The row of a log line, without its position."""
    return (*lease_row(note.lease), note.attempt, note.sequence, note.level, spelled_out(note.message))


def read_note(row: Row) -> Note:
    """The log line of a row."""
    return Note(read_lease(row), *row[4:])


def read_progress(row: Row) -> tuple[Lease, int]:
    """How far, in per cent, the attempt of a row is."""
    return read_lease(row), row[4]


# --- what is held --------------------------------------------------------------------------------------------------

UNBEGUN, BEGUN, GIVEN_UP = 0, 1, 2
"""The values of the column `begun`."""


def claimed_row(task: LeasedTask, sent: tuple[float, float, float]) -> Row:
    """The row of a claimed task, without its position."""
    more = {**vars(task), "team_id": str(task.team_id)}  # `asdict` would copy the payload to its last leaf
    del more["lease"], more["lease_seconds"]
    return (*lease_row(task.lease), compact(more), UNBEGUN, task.lease_seconds, *sent)


def read_claimed(row: Row) -> ClaimedRow:
    """The claimed task of a row."""
    text, begun, lease_seconds, *sent = row[4:]
    more: Mapping[str, Any] = json.loads(text)
    task = LeasedTask(**{**more, "team_id": UUID(more["team_id"])}, lease=read_lease(row), lease_seconds=lease_seconds)
    monotonic, boot, wall = sent
    return ClaimedRow(task, begun == BEGUN, (monotonic, boot, wall), begun == GIVEN_UP)


# --- what is to be created -----------------------------------------------------------------------------------------


def creation_row(creation: Creation) -> Row:
    """The row of a task to be created, without its position."""
    request = asdict(creation.request)
    if creation.request.scheduled_at is not None:
        request["scheduled_at"] = creation.request.scheduled_at.isoformat()
    parent = None if creation.parent is None else compact(lease_row(creation.parent))
    return (creation.key, compact(request), creation.asked_at.isoformat(), parent, creation.call)


def read_creation(row: Row) -> Creation:
    """The task to be created of a row."""
    _, key, text, asked_at, parent, call = row
    said: dict[str, Any] = json.loads(text)
    request = EnqueueRequest(**{**said, "depends_on": tuple(said["depends_on"])})
    if request.scheduled_at is not None:
        request = replace(request, scheduled_at=datetime.fromisoformat(str(request.scheduled_at)))
    lease = None if parent is None else read_lease((0, *json.loads(parent)))
    return Creation(replace(request, idempotency_key=key), datetime.fromisoformat(asked_at), lease, call)
