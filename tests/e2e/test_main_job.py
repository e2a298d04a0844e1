"""The main job with real processes: a client signs in, creates a task over GraphQL, a worker runs it, the result is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import HANDLERS
from tests.support.servers import free_port
from tests.support.waiting import eventually

CREATE = "mutation Create($input: CreateTaskInput!) { createTask(input: $input) { id status } }"
CREATE_MANY = "mutation Create($inputs: [CreateTaskInput!]!) { createTasks(inputs: $inputs) { id } }"
READ = "query Read($id: ID!) { task(id: $id) { status result attempts startedAt completedAt worker { name } } }"


class Client:
    """A client of the API, signed in."""

    def __init__(self, address: str, username: str) -> None:
        self.http = httpx.Client(base_url=address, timeout=30)
        answer = self.http.post("/auth/login", json={"username": username, "password": f"{username}123"})
        assert answer.status_code == 200, answer.text
        self.http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Run an operation that must succeed; returns its data."""
        answer = self.http.post("/graphql", json={"query": query, "variables": variables}).json()
        assert "errors" not in answer, answer
        return answer["data"]


@pytest.fixture
def client(committed_db: None, redis_server: Any, processes: Any) -> Iterator[Client]:
    """The API as a process of its own, and an administrator who uses it."""
    from accounts import demo

    for role in demo.ROLES:
        demo.make(role)
    port = free_port()
    api = processes.manage("runserver", str(port), "--noreload", DTQ_HANDLERS=HANDLERS)
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert api.running, api.output
        try:
            return httpx.get(f"{address}/health/live").status_code == 200
        except httpx.TransportError:
            return False

    eventually(answers, 30)
    signed_in = Client(address, "admin")
    yield signed_in
    signed_in.http.close()


def test_a_client_creates_a_task_and_finds_its_result(client, start_worker, start_scheduler, journal):
    start_scheduler()
    start_worker("--name", "ann")

    payload = {"journal": str(journal), "word": "hello"}
    made = client.ask(CREATE, input={"name": "journal", "payload": payload})["createTask"]
    assert made["status"] == "QUEUED"

    def completed() -> dict[str, Any]:
        task = client.ask(READ, id=made["id"])["task"]
        assert task["status"] == "COMPLETED", task
        return task

    done = eventually(completed)
    assert (done["result"], done["attempts"]) == ("hello", 1)
    assert done["startedAt"] <= done["completedAt"]


def test_health_and_metrics_tell_what_happened_across_processes(client, start_worker, start_scheduler, journal):
    assert client.http.get("/health").json()["status"] == "degraded"

    start_scheduler()
    start_worker()
    for word in ("a", "b", "c"):
        client.ask(
            CREATE, input={"name": "journal", "priority": "HIGH", "payload": {"journal": str(journal), "word": word}}
        )
    client.ask(CREATE, input={"name": "journal", "payload": {"wrong": 1}})

    eventually(lambda: _metric(client, 'dtq_tasks_total{status="completed"}') == 3)
    eventually(lambda: _metric(client, "tasks_failed_total") == 1)
    assert _metric(client, 'tasks_created_total{priority="HIGH"}') == 3
    assert _metric(client, 'tasks_created_total{priority="NORMAL"}') == 1
    assert _metric(client, "tasks_completed_total") == 3
    assert _metric(client, 'dtq_task_duration_seconds_bucket{le="1"}') == 3
    assert _metric(client, "task_duration_seconds_count") == 3
    assert _metric(client, 'dtq_queue_depth{queue="default"}') == _metric(client, "queue_size") == 0
    health = client.http.get("/health").json()
    assert (health["status"], health["workers"], health["queue"]) == (
        "ok",
        {"online": 1, "total": 1},
        {"depth": 0, "deadLetter": 0},
    )


@pytest.mark.long
@pytest.mark.timeout(600)
def test_10000_tasks_complete_exactly_once_each(client, start_worker, start_scheduler):
    from tasks.models import Task

    start_scheduler()
    start_worker("--processes", "2", DTQ_HANDLERS="tests.e2e.counting_handlers")
    for batch in range(10):
        inputs = [{"name": "square", "payload": {"number": batch * 1000 + number}} for number in range(1000)]
        client.ask(CREATE_MANY, inputs=inputs)

    tasks = Task.objects.filter(name="square")
    eventually(lambda: tasks.filter(status="COMPLETED").count() == 10_000, 400, every_seconds=0.5)

    rows = list(tasks.values_list("payload", "result", "attempts", "settled_token", "fencing_token"))
    assert Counter(attempts for _, _, attempts, _, _ in rows) == {1: 10_000}
    assert all(result == payload["number"] ** 2 for payload, result, *_ in rows)
    assert all(settled == token for *_, settled, token in rows)  # above 1 if it was given back unstarted
    assert _metric(client, "tasks_completed_total") == 10_000


def _metric(client: Client, name: str) -> float | None:
    for line in client.http.get("/metrics").text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.rpartition(" ")[2])
    return None
