"""A remote transport and the server that it asks, which answers as told."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dtq_site.foundation.observer import Observer, Recorder
from tests.unit.workers.making import lease, make_folder
from workers.domain.card import WorkerCard
from workers.offline.journal import Journal
from workers.transports.remote import RemoteTransport

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
LEASE = timedelta(hours=1)
CARD = WorkerCard(uuid.UUID(int=1), "w", "h", 1, ("mail",), {"job": {"max_retries": 2}, "bare": {}}, 5, "remote", "1")


class ScriptedClient:
    """Answers each operation by what it was told to answer: a value, an error, or a function of the variables."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def ask(self, name: str, variables: Mapping[str, Any], *, waits_seconds: float = 0.0) -> dict[str, Any]:
        self.asked.append((name, dict(variables)))
        answer = self.answers[name]
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer(variables) if callable(answer) else answer

    def interrupt(self) -> None:
        return

    def named(self, name: str) -> list[dict[str, Any]]:
        return [variables for asked, variables in self.asked if asked == name]


class World:
    def __init__(self, path: Path, most_bytes: int) -> None:
        self.path = path
        self.heard = Recorder()
        self.now = NOW
        self.client = ScriptedClient()
        self.folder, _ = make_folder(path, most_bytes)
        self.journal = Journal(Observer(self.heard), self.folder)
        self.transport = RemoteTransport(
            Observer(self.heard), self.client, self.client, CARD, self.journal, now=lambda: self.now
        )
        self.client.answers = {
            "register_worker": {},
            "renew_leases": lambda said: {"renewLeases": [renewed(each) for each in said["leases"]]},
            "report_outcomes": lambda said: {"reportOutcomes": [{"verdict": "ACCEPTED"} for _ in said["outcomes"]]},
            "release_tasks": {"releaseTasks": 1},
            "record_progress": {"recordProgress": 1},
        }

    def claim(self, limit: int = 5):
        return self.transport.claim(uuid.uuid4(), limit, LEASE, from_database=False)

    def asked_on_disk(self) -> uuid.UUID | None:
        """The id of the claim that the journal has."""
        store = self.journal._store
        asked = None if store is None else store.asked()
        return asked.claim_id if asked else None

    def on_disk(self) -> list[int]:
        """The numbers of the tasks that the journal has."""
        store = self.journal._store
        return [] if store is None else [row.task.lease.fencing_token for row in store.claimed()]


def renewed(said: Mapping[str, Any], verdict: str = "RENEWED") -> dict[str, Any]:
    return {"taskId": said["taskId"], "verdict": verdict, "leaseMs": 1_800_000}


def won(*numbers: int, **payload: Any) -> dict[str, Any]:
    return {"claimTasks": [answer(number, payload) for number in numbers]}


def won_to_hold(*numbers: int) -> dict[str, Any]:
    return {"claimTasks": [{**answer(number, {}), "whenLost": "HOLD"} for number in numbers]}


def answer(number: int, payload: dict[str, Any]) -> dict[str, Any]:
    return {
        "taskId": str(lease(number).task_id),
        "fencingToken": number,
        "claimId": str(lease(number).claim_id),
        "leaseMs": 60_000,
        "name": "job",
        "payload": payload,
        "attempt": 1,
        "timeoutSeconds": 60.0,
        "beginFirst": False,
        "lock": None,
        "lockFencingNumber": 0.0,
        "whenLost": "REASSIGN",
        "parentResults": {},
        "queue": "",
        "requestId": None,
        "traceparent": None,
    }
