"""Requests of workers that are lost, sent twice and sent late: each task has one result all the same."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from accounts.identity import Identity
from tasks.domain.states import TaskStatus
from tasks.models import Task
from tests.integration.graphql.making import make_task
from tests.integration.graphql.working import NAME, expire, send_as
from tests.support.worker_client import Lease, WorkerClient, completed

pytestmark = pytest.mark.django_db


class Flaky:
    """A way to the server that sends requests twice, later again, or loses their answers."""

    def __init__(self, identity: Identity, seed: int) -> None:
        self.draw, self._send = random.Random(seed), send_as(identity)
        self._late: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, document: str, variables: dict[str, Any]) -> dict[str, Any]:
        while self._late and self.draw.random() < 0.5:
            self._send(*self._late.pop(self.draw.randrange(len(self._late))))
        answer = self._send(document, variables)
        if self.draw.random() < 0.3:
            self._late.append((document, variables))
        if self.draw.random() < 0.2:
            answer = self._send(document, variables)
        if self.draw.random() < 0.2:
            raise ConnectionError
        return answer


class Crew:
    """Workers that go on until their answers come, and remember which of their reports counted."""

    def __init__(self, identity: Identity, seed: int) -> None:
        self._flaky = Flaky(identity, seed)
        self._draw = self._flaky.draw
        self.workers = [self._persistently(lambda _: WorkerClient(self._flaky, NAME)) for _ in range(3)]
        self.counted: list[tuple[str, str]] = []

    def _persistently(self, call: Callable[[bool], Any]) -> Any:
        for tries in range(100):
            try:
                return call(tries > 0)
            except ConnectionError:
                continue
        raise AssertionError("a hundred answers were lost")

    def work(self, name: str) -> None:
        """One claim, and something for each task that it wins."""
        worker, claim_id, limit = self._draw.choice(self.workers), str(uuid4()), self._draw.randint(1, 4)
        for lease in self._persistently(lambda again: worker.claim(limit, claim_id=claim_id, repeated=again)):
            act = self._draw.choice(["report", "report", "lose", "release", "renew"])
            if act == "release":
                self._persistently(lambda _, lease=lease: worker.on_leases("releaseTasks", [lease]))
                continue
            if act == "renew":
                self._persistently(lambda _, lease=lease: worker.renew([lease]))
            if act == "lose":
                expire(lease)
            self._report(worker, lease, f"{name}, token {lease['fencingToken']}")

    def _report(self, worker: WorkerClient, lease: Lease, result: str) -> None:
        (verdict,) = self._persistently(lambda _: worker.report(completed(lease, result)))
        if verdict != "STALE_LEASE":
            self.counted.append((lease["taskId"], result))


@pytest.mark.parametrize("seed", range(8))
def test_however_requests_are_lost_repeated_and_reordered_each_task_has_one_result(worker_account: Identity, seed: int):
    crew = Crew(worker_account, seed)
    tasks = [make_task() for _ in range(8)]

    for turn in range(200):
        crew.work(f"turn {turn}")
        for held in Task.objects.filter(status=TaskStatus.PROCESSING):
            expire({"taskId": held.pk})  # whoever held it has never got the answer
        if not Task.objects.exclude(status=TaskStatus.COMPLETED).exists():
            break

    assert set(Task.objects.values_list("status", flat=True)) == {TaskStatus.COMPLETED}
    assert sorted(crew.counted) == sorted((str(task.pk), task.result) for task in Task.objects.all())
    assert len(crew.counted) == len(tasks)
