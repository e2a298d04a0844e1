"""Workflows through real workers: the order of a large random graph while processes are killed, and results handed on."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Sequence
from graphlib import TopologicalSorter
from typing import Any

import pytest

from tests.e2e.conftest import reread, wait_for_status
from tests.e2e.job_handlers import read
from tests.support.waiting import eventually

HANDLERS = {"DTQ_HANDLERS": "tests.e2e.workflow_handlers"}
SIZE = 1000


def submit(requests: Sequence[Any]) -> list[Any]:
    from accounts.registration import team_named
    from tasks import submission

    return submission.submit(requests, submission.Owner(team_named("default").pk, None), argument="tasks")


def request(name: str, key: str, needs: Sequence[str] = (), **payload: Any) -> Any:
    from tasks.domain.submission import Request

    return Request(name=name, key=key, depends_on=list(needs), payload=payload)


def random_graph(draw: random.Random) -> dict[str, list[str]]:
    """The keys of the tasks, each with up to four of those before it, shuffled."""
    keys = [f"n{number}" for number in range(SIZE)]
    graph = {
        key: draw.sample(keys[max(0, number - 200) : number], min(number, draw.choice([0, 1, 1, 2, 3, 4])))
        for number, key in enumerate(keys)
    }
    return dict(draw.sample(list(graph.items()), SIZE))


def depths(graph: dict[str, list[str]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for key in TopologicalSorter(graph).static_order():
        found[key] = 1 + max((found[need] for need in graph[key]), default=0)
    return found


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_graph_of_a_thousand_tasks_ends_in_a_right_order_while_workers_are_killed(
    start_worker, start_scheduler, journal
):
    from tasks.models import Dependency, Task

    draw = random.Random(6)
    graph = random_graph(draw)
    start_scheduler()
    workers = [start_worker("--concurrency", "4", "--processes", "2", **HANDLERS) for _ in range(2)]

    submit([request("node", key, graph[key], journal=str(journal), word=key, seconds=0.02) for key in graph])
    killed = 0
    for part in range(1, 9):
        eventually(lambda part=part: Task.objects.filter(status="COMPLETED").count() > part * 100, 120)
        if part == 4:  # a whole worker with all that it holds
            members = workers[0].members()
            workers[0].clear_away()
            workers[0] = start_worker("--concurrency", "4", "--processes", "2", **HANDLERS)
            killed += len(members)
        else:
            os.kill(draw.choice(workers[part % 2].workers()), signal.SIGKILL)
            killed += 1
    eventually(lambda: Task.objects.filter(status="COMPLETED").count() == SIZE, 120)

    lines = read(journal)
    first_start = {key: lines.index(f"start {key}") for key in graph}
    first_end = {key: lines.index(f"end {key}") for key in graph}
    too_early = [(need, key) for key in graph for need in graph[key] if first_start[key] < first_end[need]]
    assert too_early == []
    results = dict(Task.objects.values_list("payload__word", "result"))
    assert results == depths(graph)
    assert not Dependency.objects.filter(satisfied=False).exists()
    assert killed >= 8 and Task.objects.filter(attempts__gt=1).exists()


def test_results_are_handed_on_by_keys_and_by_ids_in_order(start_worker, journal):
    from tasks.domain.submission import Request

    start_worker(**HANDLERS)
    (there,) = submit([Request(name="node", payload={"journal": str(journal), "word": "there"})])

    *_, last = submit([
        request("node", "b", journal=str(journal), word="b"),
        request("node", "a", ["b"], journal=str(journal), word="a"),
        request("async-node", "last", ["a", "b", str(there.pk)]),
    ])  # fmt: skip

    assert list(wait_for_status(last, "COMPLETED").result.items()) == [("a", 2), ("b", 1), (str(there.pk), 1)]


def test_a_failed_parent_is_missing_from_the_results_of_a_task_that_runs_all_the_same(start_worker):
    from dataclasses import replace

    start_worker(**HANDLERS)
    last = replace(request("async-node", "last", ["good", "bad"]), on_dependency_failure="RUN")

    *_, done = submit([request("bulky", "good", size=1), request("bulky", "bad", wrong=1), last])

    assert wait_for_status(done, "COMPLETED").result == {"good": "x"}


def test_results_that_are_too_large_together_fail_the_task_that_asks_for_them(start_worker):
    start_worker(**HANDLERS, DTQ_MAX_RESULTS_BYTES="2000")

    *_, within, beyond, unasked = submit([
        request("bulky", "a", size=900),
        request("bulky", "b", size=900),
        request("bulky", "c", size=900),
        request("async-node", "within", ["a", "b"]),
        request("async-node", "beyond", ["a", "b", "c"]),
        request("bulky", "unasked", ["a", "b", "c"], size=1),
    ])  # fmt: skip

    assert wait_for_status(within, "COMPLETED").result == {"a": "x" * 900, "b": "x" * 900}
    assert wait_for_status(unasked, "COMPLETED").result == "x"
    refused = wait_for_status(beyond, "FAILED")
    assert refused.error.startswith(
        "The results of what it depends on take 2,706 bytes; at most 2,000 are handed over."
    )
    assert reread(beyond).attempts == 1
