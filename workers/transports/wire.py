"""Values as the GraphQL API takes and answers them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from dtq_site.foundation import strict_json
from dtq_site.foundation.batches import by_weight
from tasks.domain.lease import Lease, LeasedTask
from tasks.domain.outcome import Outcome, OutcomeKind, shortened
from workers.domain.card import WorkerCard
from workers.offline.rows import Creation
from workers.transports.base import Note

MOST_BYTES = 1_000_000
"""How much one request carries: the server refuses what is a few times as much, and proxies on the way may what is a bit more."""

_UNTOLD_TEAM = UUID(int=0)
"""A remote worker is not told the team of a task: the server knows it."""

_DECLARED = {
    "queue": "queue",
    "priority": "priority",
    "max_retries": "maxRetries",
    "timeout_seconds": "timeoutSeconds",
    "lock": "lock",
    "when_lost": "whenLost",
}
"""What a remote worker declares of a handler. Limits hold for all teams, so they are for the installation to declare."""


def write_card(card: WorkerCard) -> dict[str, Any]:
    """A WorkerInput."""
    return {
        "id": str(card.id),
        "name": card.name,
        "hostname": card.hostname,
        "pid": card.pid,
        "queues": list(card.queues),
        "handlers": sorted(card.handlers),
        "declarations": [
            {"name": name, **{_DECLARED[key]: value for key, value in declared.items() if key in _DECLARED}}
            for name, declared in sorted(card.handlers.items())
            if declared
        ],
        "concurrency": card.concurrency,
        "version": card.version,
    }


def write_lease(lease: Lease) -> dict[str, Any]:
    """A LeaseInput."""
    return {"taskId": str(lease.task_id), "fencingToken": lease.fencing_token, "claimId": str(lease.claim_id)}


def write_outcome(outcome: Outcome) -> dict[str, Any]:
    """An OutcomeInput."""
    written = {**write_lease(outcome.lease), "kind": str(outcome.kind), "runSeconds": outcome.run_seconds}
    if outcome.kind is OutcomeKind.COMPLETED:
        return {**written, "result": outcome.result}
    return {**written, "error": shortened(outcome.error), "retryDelaySeconds": outcome.retry_delay_seconds}


def write_records(notes: Sequence[Note], progress: Mapping[Lease, int]) -> list[dict[str, Any]]:
    """ProgressInputs."""
    records: dict[Lease, dict[str, Any]] = {}
    for note in notes:
        record = records.setdefault(note.lease, {**write_lease(note.lease), "attempt": note.attempt, "logs": []})
        record["logs"].append({"sequence": note.sequence, "level": note.level, "message": note.message})
    for lease, percent in progress.items():
        untold = {**write_lease(lease), "attempt": 1}  # the number goes with log lines, of which there are none
        records.setdefault(lease, untold)["progress"] = percent
    return list(records.values())


def weight(value: Mapping[str, Any]) -> int:
    """How many bytes of a request the value takes."""
    return len(strict_json.compact(value).encode())


def portions(creations: Sequence[Creation], now: datetime) -> Iterator[list[Creation]]:
    """Creations in groups that one request can carry."""
    return by_weight(((each, weight(write_creation(each, now))) for each in creations), MOST_BYTES)


def write_creation(creation: Creation, now: datetime) -> dict[str, Any]:
    """A CreateTaskInput or ChildTaskInput. A delay counts from when the task was asked for, however late that is told."""
    request, delay = creation.request, creation.request.delay_seconds
    if delay is not None:
        delay = max(0.0, delay - max(0.0, (now - creation.asked_at).total_seconds()))
    given = {
        "name": request.name,
        "payload": request.payload,
        "queue": request.queue,
        "priority": request.priority,
        "delaySeconds": delay,
        "scheduledAt": None if request.scheduled_at is None else request.scheduled_at.isoformat(),
        "idempotencyKey": request.idempotency_key,
        "maxRetries": request.max_retries,
        "timeoutSeconds": request.timeout_seconds,
        "dependsOn": list(request.depends_on) or None,
        "onDependencyFailure": request.on_dependency_failure,
        "whenLost": request.when_lost,
        "key": request.key,
    }
    return {name: value for name, value in given.items() if value is not None}


def read_leased(answer: Mapping[str, Any]) -> LeasedTask:
    """A claimed task."""
    return LeasedTask(
        lease=Lease(UUID(answer["taskId"]), answer["fencingToken"], UUID(answer["claimId"])),
        name=answer["name"],
        payload=answer["payload"],
        attempt=answer["attempt"],
        timeout_seconds=answer["timeoutSeconds"],
        lease_seconds=answer["leaseMs"] / 1000,
        begin_first=answer["beginFirst"],
        team_id=_UNTOLD_TEAM,
        lock=answer["lock"],
        lock_fencing_number=int(answer["lockFencingNumber"]),
        when_lost=answer["whenLost"],
        parent_results=answer["parentResults"],
        queue=answer["queue"],
        request_id=answer["requestId"],
        traceparent=answer["traceparent"],
    )
