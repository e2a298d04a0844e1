"""One request through the API, the queue and a worker: its spans are one trace, and its id stands in the lines of all of them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import wait_for_status
from tests.support.collector import Collector, GatheredSpan
from tests.support.graphql_socket import signed_in
from tests.support.processes import Process, Processes

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
REQUEST_ID = "from-the-test"
HEADERS = {"traceparent": f"00-{TRACE}-{CALLER}-01", "X-Request-ID": REQUEST_ID}
CREATE = "mutation ($input: CreateTaskInput!) { createTask(input: $input) { id } }"


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture
def traced(collector: Collector) -> dict[str, str]:
    """The variables that have spans gathered, and every move told of."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "DTQ_TASK_LOG_LEVEL": "debug",
        "DTQ_HANDLERS": "tests.e2e.trace_handlers",
        "DTQ_LEASE": "15s",
    }


@pytest.fixture
def create(start_client: Callable[..., Any], traced: dict[str, str]) -> Callable[..., tuple[str, httpx.Response]]:
    """Create a task by the API, as a part of the trace; a real server."""
    client = start_client(**traced)

    def by_request(name: str, payload: dict[str, Any] | None = None) -> tuple[str, httpx.Response]:
        content = {"query": CREATE, "variables": {"input": {"name": name, "payload": payload or {}}}}
        headers = {"Authorization": f"Bearer {client.token}", **HEADERS}
        response = client.http.post("/graphql", json=content, headers=headers)
        return response.json()["data"]["createTask"]["id"], response

    by_request.client = client
    return by_request


@pytest.fixture
def start_remote(create: Any, processes: Processes, tmp_path: Path, traced: dict[str, str]) -> Callable[[], Process]:
    """A remote worker of that server."""

    def start() -> Process:
        (tmp_path / "token").write_text(token_of_a_worker())
        where = ["--server", f"{create.client.server.http_url}/graphql", "--token-file", str(tmp_path / "token")]
        worker = processes.manage("runworker", *where, "--store", str(tmp_path / "store"), "--name", "far", **traced)
        worker.wait_for("worker.ready")
        return worker

    return start


def token_of_a_worker() -> str:
    """Of the team whose tasks are made here."""
    from accounts import worker_tokens
    from accounts.roles import Role
    from tests.support.factories import make_team, make_user

    return worker_tokens.issue(make_user("far", team=make_team("red"), role=Role.WORKER), name="far").secret


def task_of(task_id: str) -> Any:
    from tasks.models import Task

    return Task.objects.get(pk=task_id)


def path_to(span: GatheredSpan, spans: dict[str, GatheredSpan]) -> list[str]:
    """The names of the spans from the first of this system to this one."""
    above = path_to(spans[span.parent_id], spans) if span.parent_id in spans else [f"<{span.parent_id}>"]
    return [*above, span.name]


def paths(spans: dict[str, GatheredSpan]) -> list[list[str]]:
    return sorted(path_to(span, spans) for span in spans.values())


def test_spans_of_request_creation_and_handler_are_one_trace(
    create: Any, start_worker: Callable[..., Process], traced: dict[str, str], collector: Collector
):
    worker = start_worker("--name", "near", **traced)

    task_id, response = create("parent")

    request, send, process = "POST /graphql", "send default", "process default"
    way = [f"<{CALLER}>", request, send, process, send, process]
    spans = collector.of_trace(TRACE, 5)
    assert paths(spans) == [way[: length + 1] for length in range(1, 6)]
    (served,) = [span for span in spans.values() if span.kind == "SERVER"]
    assert served.attributes == {
        "http.request.method": "POST",
        "url.path": "/graphql",
        "url.scheme": "http",
        "http.route": "/graphql",
        "http.response.status_code": 200,
    }
    sent, consumed = (span for span in spans.values() if span.attributes.get("messaging.message.id") == task_id)
    sent, consumed = sorted((sent, consumed), key=lambda span: span.kind, reverse=True)
    assert (sent.kind, consumed.kind) == ("PRODUCER", "CONSUMER")
    assert consumed.attributes == {
        "messaging.system": "dtq",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "default",
        "messaging.message.id": task_id,
        "dtq.task.name": "parent",
        "dtq.task.attempt": 1,
    }
    assert {span.service for span in spans.values()} == {"dtq"} and not any(span.is_error for span in spans.values())
    assert response.headers["X-Request-ID"] == REQUEST_ID
    lines(create.client.server.process, "task.created", task_id)
    for event in ("task.claimed", "task.completed"):
        assert "worker=near" in lines(worker, event, task_id)


def test_a_failed_attempt_is_an_error_that_quotes_nothing_and_what_is_gathered_last_is_sent_too(
    create: Any, start_worker: Callable[..., Process], traced: dict[str, str], collector: Collector
):
    worker = start_worker("--name", "near", **traced | {"OTEL_BSP_SCHEDULE_DELAY": "60000"})

    task_id, _ = create("quotes-a-secret", {"word": "swordfish"})

    wait_for_status(task_of(task_id), "DEAD_LETTER")
    assert worker.terminate() == 0
    (failed,) = [span for span in collector.of_trace(TRACE, 3).values() if span.kind == "CONSUMER"]
    assert (failed.is_error, failed.attributes["error.type"]) == (True, "LookupError")
    assert "swordfish" not in repr(collector.spans)
    line = lines(worker, "task.dead_lettered", task_id)
    assert "attempt=1" in line and "swordfish" not in line


def test_a_remote_worker_goes_on_with_the_trace_and_the_request(
    create: Any, start_remote: Callable[[], Process], collector: Collector
):
    worker = start_remote()

    task_id, _ = create("parent")

    request, send, process = "POST /graphql", "send default", "process default"
    way = [f"<{CALLER}>", request, send, process, request, send, process]
    assert paths(collector.of_trace(TRACE, 6)) == [way[: length + 1] for length in range(1, 7)]
    server = create.client.server.process
    for event in ("task.claimed", "task.completed"):
        assert "worker=far" in lines(server, event, task_id)
    assert task_of(task_id).traceparent.startswith(f"00-{TRACE}-")
    assert worker.terminate() == 0


def test_an_operation_over_a_websocket_begins_a_trace(create: Any, collector: Collector):
    with signed_in(create.client.server.socket_url, create.client.token) as socket:
        created = socket.ask(CREATE, input={"name": "parent"})["createTask"]

    trace = task_of(created["id"]).traceparent.split("-")[1]
    spans = collector.of_trace(trace, 2)
    operation, send = "WEBSOCKET /graphql", "send default"
    assert sorted(span.name for span in spans.values()) == [operation, send]
    (sent,) = [span for span in spans.values() if span.name == send]
    assert spans[sent.parent_id].name == operation


def lines(process: Process, event: str, task_id: str) -> str:
    """The line that a process has written of a move of a task; it bears the id of the request."""
    line = process.wait_for(rf"^.*{re.escape(event)} .*{task_id}.*$").group()
    assert f"request_id={REQUEST_ID}" in line, line
    return line


def test_nothing_is_sent_or_loaded_unless_it_is_asked_for(
    enqueue: Callable[..., Any], start_worker: Callable[..., Process], processes: Processes, collector: Collector
):
    off = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_SDK_DISABLED": "true"}
    start_worker(DTQ_HANDLERS="tests.e2e.trace_handlers", **off)
    look = "import dtq_site.asgi; from tests.e2e.trace_handlers import gathering; print('gathering', gathering())"
    server = processes.start([sys.executable, "-c", look], DJANGO_SETTINGS_MODULE="dtq_site.settings")

    task = enqueue("loaded")

    done = wait_for_status(task, "COMPLETED")
    assert (done.result, done.traceparent, done.request_id) == ([], None, None)
    server.wait_for(r"^gathering \[\]$")
    assert collector.requests == 0
