"""The API over HTTP, on one Daphne process: creating tasks, one by one and in bulk, and listing them among many."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from tests.benchmarks.figures import number, percentile, spread, table
from tests.benchmarks.http_load import graphql_request, send
from tests.benchmarks.installation import Installation
from tests.benchmarks.measures import Measure, Sample, Samples, Scale
from tests.benchmarks.stage import Stage
from tests.benchmarks.systems import System
from tests.benchmarks.systems.dtq import DTQ

CREATE = "createTask, 16 connections"
CREATE_ON_TWO_THREADS = "the same, DTQ_API_THREADS=2"
CREATE_BY_STOCK_VIEW = "the same row by graphene-django's view, 16 connections"
CREATE_MANY = "createTasks of 500, 2 connections; tasks/s"
LIST = "tasks(limit: 50), 1 connection"

_OURS, _STOCK = "dtq_site.asgi:application", "tests.benchmarks.applications.stock_api:application"
_WARMING_SHARE = 10
_TASK = {"name": "count", "payload": {"email": "somebody@example.com", "subject": "Hello"}}
_CREATE = "mutation ($input: CreateTaskInput!) { createTask(input: $input) { id name status } }"
_CREATE_MANY = "mutation ($inputs: [CreateTaskInput!]!) { createTasks(inputs: $inputs) { id } }"
_LIST = "query ($limit: Int) { tasks(limit: $limit) { id name status priority queue attempts createdAt } }"
_TASKS_A_CALL = 500


def _cases(stage: Stage, systems: Sequence[System], scale: Scale) -> dict[str, Callable[[], Sample]]:
    if DTQ not in systems:
        return {}
    few, many = stage.installation(DTQ, "API"), stage.installation(DTQ, f"with {scale.api_rows:,} waiting")
    stock = {"input": {"name": _TASK["name"], "payload": "{}"}}
    create = partial(_ask, few, _OURS, _CREATE, {"input": _TASK}, scale.api_requests, 16)
    return {
        CREATE: create,
        CREATE_ON_TWO_THREADS: partial(create, {"DTQ_API_THREADS": "2"}),
        CREATE_BY_STOCK_VIEW: partial(_ask, few, _STOCK, _CREATE, stock, scale.api_requests, 16),
        CREATE_MANY: partial(_create_many, few, scale.api_bulk_calls),
        LIST: partial(_list, many, scale),
    }


def _ask(
    installation: Installation,
    application: str,
    query: str,
    variables: Mapping[str, Any],
    count: int,
    connections: int,
    settings: Mapping[str, str] | None = None,
) -> Sample:
    token = installation.ask("token")  # the stock view does not look at it
    request = graphql_request(query, variables, token)
    with installation.serving(application, settings) as port:
        send(port, request, count=max(connections, count // _WARMING_SHARE), connections=connections)
        load = send(port, request, count=count, connections=connections)
    shares = {"p50": 0.5, "p95": 0.95}
    return {"per_second": load.per_second} | {
        name: percentile(load.milliseconds, share) for name, share in shares.items()
    }


def _create_many(installation: Installation, calls: int) -> Sample:
    variables = {"inputs": [_TASK] * _TASKS_A_CALL}
    sample = _ask(installation, _OURS, _CREATE_MANY, variables, calls, 2)
    return {**sample, "per_second": sample["per_second"] * _TASKS_A_CALL}


def _list(installation: Installation, scale: Scale) -> Sample:
    installation.ask("create_many", count=max(0, scale.api_rows - installation.ask("waiting")))
    return _ask(installation, _OURS, _LIST, {"limit": 50}, scale.api_requests // 10, 1)


def _section(samples: Samples) -> str:
    rows = []
    for label, of_case in samples.items():
        rate = spread(sample["per_second"] for sample in of_case)
        times = [number(spread(sample[share] for sample in of_case).median) for share in ("p50", "p95")]
        rows.append([label, *map(number, (rate.least, rate.median, rate.most)), *times])
    return table(["requests/s", "least", "median", "most", "p50 ms", "p95 ms"], rows)


API = Measure(_cases, _section)
