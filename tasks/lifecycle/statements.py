"""The statements that every task passes, claim and completion, in words of our own: the ORM takes longer to word them than the
database to run them.

They find rows by key alone. MariaDB would otherwise find them by an index on the state when few rows have it, and wait for
those of others that it meets there.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection

from dtq_site.foundation import strict_json
from dtq_site.foundation.statements import Statement
from tasks.domain.lease import Lease
from tasks.domain.states import MOVES, Hold, TaskStatus
from tasks.lifecycle.claims import Claim, ClaimedTask
from tasks.lifecycle.insertion import preparations
from tasks.models import Queue, Task

_READ_OF_A_CLAIM = (
    *("id", "rank", "name", "queue", "payload", "attempts", "timeout_seconds", "max_retries", "lost_leases", "team_id"),
    *("fencing_token", "queued_at", "lock", "lock_fencing_number", "when_lost", "limit_key"),
    *("request_id", "traceparent"),
)


def claim_of(
    claim: Claim, task_ids: Collection[UUID], queue: str, names: Collection[str], team_id: UUID | None, now: datetime
) -> Statement:
    """Lease those of the tasks that are still QUEUED in the queue, have one of the names and are of the team, if one is named,
    unless the queue is paused.
    """
    team = "" if team_id is None else "AND team_id = %s"
    sql = f"""
        {_update()} SET status = '{TaskStatus.PROCESSING}', attempts = attempts + 1, fencing_token = fencing_token + 1,
            version = version + 1, lease_owner = %s, claim_id = %s, lease_expires_at = %s, begun = %s, progress = NULL,
            started_at = %s, updated_at = %s
        WHERE id IN ({_places(task_ids)}) AND status IN ({_states("claim")}) AND queue = %s AND name IN ({_places(names)})
            {team} AND NOT EXISTS (SELECT 1 FROM {_quoted(Queue._meta.db_table)} WHERE name = %s AND paused)"""
    values = [claim.worker_id, claim.id, now + claim.lease, False, now, now, *task_ids, queue, *names]
    return Statement(sql, _prepared([*values, *([] if team_id is None else [team_id]), queue]))


def claimed_under(claim_id: UUID, task_ids: Collection[UUID]) -> Statement:
    """Read those of the tasks that bear the claim's id; `claimed_task` makes tasks of the rows."""
    columns = ", ".join(map(_quoted, _READ_OF_A_CLAIM))
    sql = f"""
        SELECT {columns} FROM {_quoted(Task._meta.db_table)} {_by_key()}
        WHERE id IN ({_places(task_ids)}) AND status = '{TaskStatus.PROCESSING}' AND claim_id = %s"""
    return Statement(sql, _prepared([*task_ids, claim_id]))


def claimed_task(row: Sequence[Any], claim_id: UUID) -> ClaimedTask:
    """The task of a row that `claimed_under` has read."""
    id_, rank, name, queue, payload, *numbers, team_id, token, queued_at = row[:12]
    return ClaimedTask(
        _uuid(id_),
        rank,
        name,
        queue,
        json.loads(payload),
        *numbers,
        _team(team_id),
        token,
        None if queued_at is None else _moment(queued_at),
        *row[12:],
        claim_id,
    )


def completion_of(results: Mapping[Lease, Any], now: datetime) -> Statement:
    """Complete tasks that are held under these leases, hold no lock and no place under a cap, and on which no other depends."""
    texts = {
        lease.task_id: None if result is None else strict_json.compact(result) for lease, result in results.items()
    }
    tokens = {lease.task_id: lease.fencing_token for lease in results}
    claims = {lease.claim_id for lease in results}
    result, result_values = _chosen(texts)
    token, token_values = _chosen(tokens)
    sql = f"""
        {_update()} SET status = '{TaskStatus.COMPLETED}', result = {result}, error = '', hold = '{Hold.NONE}',
            completed_at = %s, updated_at = %s, settled_token = fencing_token, settled_claim_id = claim_id,
            version = version + 1, lease_owner = NULL, claim_id = NULL, lease_expires_at = NULL, held_until = NULL, begun = %s
        WHERE id IN ({_places(tokens)}) AND status IN ({_states("complete")}) AND fencing_token = {token}
            AND claim_id IN ({_places(claims)}) AND lock_fencing_number = 0 AND capped = 0
            AND has_dependants = 0"""
    return Statement(sql, _prepared([*result_values, now, now, False, *tokens, *token_values, *claims]))


# --- wording -------------------------------------------------------------------------------------------------------


def _chosen(by_key: Mapping[UUID, Any]) -> tuple[str, list[Any]]:
    """The value that all rows share, else an expression that chooses by key."""
    if len(set(by_key.values())) == 1:
        return "%s", [next(iter(by_key.values()))]
    cases = "WHEN %s THEN %s " * len(by_key)
    return f"CASE id {cases}END", [each for pair in by_key.items() for each in pair]


def _update() -> str:
    return f"UPDATE {_quoted(Task._meta.db_table)} {_by_key()}"


def _by_key() -> str:
    return "FORCE INDEX (PRIMARY)" if connection.vendor == "mysql" else ""


def _places(values: Collection[Any]) -> str:
    return ", ".join(["%s"] * len(values)) or "NULL"


@functools.cache
def _states(move: str) -> str:
    return ", ".join(f"'{status}'" for status in MOVES[move].sources)


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)


# --- values --------------------------------------------------------------------------------------------------------


def _prepared(values: Sequence[Any]) -> list[Any]:
    prepare = preparations(connection.vendor)
    return [prepare[type(value)](value) if type(value) in prepare else value for value in values]


def _uuid(text: str | UUID) -> UUID:
    return text if isinstance(text, UUID) else UUID(text)


_team = functools.lru_cache(maxsize=1024)(_uuid)


def _moment(value: datetime | str) -> datetime:
    """Databases keep UTC and say nothing of it; SQLite keeps it as text."""
    return (value if isinstance(value, datetime) else datetime.fromisoformat(value)).replace(tzinfo=UTC)
