"""Evidence made up for trials of the checker: one task that completed at its first attempt, and whatever a test changes."""

from __future__ import annotations

from typing import Any

from tests.chaos.checker import judge
from tests.chaos.evidence import WORKER_LOST, Accepted, Asked, Ending, Evidence, Execution, Promises, Row, Sight

PROMISES = Promises(
    backoff_seconds=1.0,
    max_lost_leases=3,
    slots=2,
    ends={"job": "COMPLETED", "hopeless": "DEAD_LETTER", "useless": "FAILED", "poison": WORKER_LOST},
)


def row(task: str = "a", **fields: Any) -> Row:
    """A task that completed at its first attempt."""
    usual: dict[str, Any] = {
        "name": "job",
        "number": 1,
        "key": "k",
        "queue": "default",
        "rank": 100,
        "status": "COMPLETED",
        "attempts": 1,
        "failures": 0,
        "lost_leases": 0,
        "max_retries": 3,
        "result": "1:x",
        "error": "",
        "settled_token": 1,
        "queued_at": 10.0,
        "claimed_at": 10.0,
    }
    return Row(task, **{**usual, **fields})


def ran(
    token: int = 1, begun: float = 10.0, seen: float = 11.0, how: str | None = "returned", *, leased: bool = True
) -> Execution:
    """An execution of task a, seen at two moments; one that returned did so with a result that bears its token."""
    sights = (Sight(begun, True), Sight(seen, leased))
    return Execution("a", token, sights, how, f"{token}:x" if how == "returned" else None)


def ended(ending: str, token: int = 1, at: float = 12.0, worker: str | None = None) -> Ending:
    """A remembered ending of task a."""
    return Ending("a", token, ending, at, worker)


def evidence(*rows: Row, **fields: Any) -> Evidence:
    """What a run with these rows has left; without other word one execution, accepted and well ended."""
    found = {each.task: each for each in rows or (row(),)}
    usual = {"asked": {1: Asked(1, "k", 0.0)}, "accepted": [Accepted("a", 1)], "executions": [ran()]}
    return Evidence(PROMISES, found, **{**usual, **fields})


def broken(found: Evidence) -> set[str]:
    """The rules that are broken."""
    return {finding.rule for finding in judge(found) if finding.violations}
