"""The process that creates a system's tasks, in that system's environment: `python -m tests.benchmarks.producer MODULE`.

It reads one request a line from its input and writes one answer a line, both JSON; it ends with its input. What the
libraries print goes to the error output, so that an answer is never mistaken.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.benchmarks.counter import ARRIVALS
from tests.benchmarks.counting import client

ARRIVES_WITHIN_SECONDS = 30


class Producer:
    """Each public method is a request."""

    def __init__(self, application: Any) -> None:
        self._application = application

    def ways(self) -> list[str]:
        """The ways to create one task."""
        return list(self._application.WAYS)

    def create(self, way: str, count: int) -> float:
        """Create tasks one by one; returns the seconds that it took."""
        create = self._application.WAYS[way]
        begun = time.perf_counter()
        for _ in range(count):
            create()
        return time.perf_counter() - begun

    def create_many(self, count: int) -> float:
        """Create tasks in bulk; returns the seconds that it took."""
        begun = time.perf_counter()
        self._application.create_many(count)
        return time.perf_counter() - begun

    def create_waiting(self, count: int) -> list[str]:
        """Create tasks that nobody is to run; returns their ids."""
        return list(self._application.create_waiting(count))

    def delayed(self) -> int:
        """How many tasks wait until a moment."""
        return int(self._application.delayed())

    def moment(self, in_seconds: float) -> str:
        """The moment so much later, by the clock by which tasks are due."""
        return str(self._application.moment(in_seconds))

    def create_due(self, count: int, first: str, within_seconds: float, name: str, queue: str) -> None:
        """Create tasks that are due one after the other, evenly over a while from `first` on."""
        self._application.create_due(count, first, within_seconds, name, queue)

    def late_ms(self, queue: str, first: str) -> list[float]:
        """How long after their moments the tasks of a queue have begun that were due from `first` on."""
        return list(self._application.late_ms(queue, first))

    def all_ready_after_seconds(self, queue: str, first: str) -> float:
        """How long after `first` the last task of a queue has become ready."""
        return float(self._application.all_ready_after_seconds(queue, first))

    def change(self, ids: list[str], per_second: float, count: int) -> None:
        """Change the tasks in turn, at that rate."""
        _at_rate(per_second, count, lambda number: self._application.change(ids[number % len(ids)]))

    def end(self, ids: list[str], per_second: float) -> None:
        """End the tasks, at that rate."""
        _at_rate(per_second, len(ids), lambda number: self._application.end(ids[number]))

    def time_arrivals(
        self, count: int, seed: int, shortest_seconds: float, longest_seconds: float
    ) -> list[tuple[float, float]]:
        """Create single tasks with random pauses before them; returns for each the ms to its handler's first line, from the
        return of the call that creates it and from before that call.
        """
        pauses = random.Random(seed)
        taken = []
        for _ in range(count):
            time.sleep(pauses.uniform(shortest_seconds, longest_seconds))
            called = time.monotonic_ns()
            self._application.create_arrival()
            returned = time.monotonic_ns()
            begun = _next_arrival()
            taken.append(((begun - returned) / 1e6, (begun - called) / 1e6))
        return taken

    def clear(self) -> None:
        """Forget all tasks that are kept outside of Redis."""
        self._application.clear()

    def make_ready(self) -> None:
        """Return once the system is as it is in daily work."""
        self._application.make_ready()

    def waiting(self) -> int:
        """How many tasks wait in Redis."""
        return int(self._application.waiting())

    def token(self) -> str:
        """What opens the system's API."""
        return str(self._application.token())

    def worker_token(self) -> str:
        """What opens the system's API to a worker."""
        return str(self._application.worker_token())

    def recorded(self) -> int | None:
        """How many outcomes are in the database; None where the system keeps none."""
        return self._application.recorded()


def _at_rate(per_second: float, count: int, act: Callable[[int], None]) -> None:
    """Call `act` with the numbers of its calls; what comes late shortens the pauses after it."""
    begun = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, begun + number / per_second - time.monotonic()))
        act(number)


def _next_arrival() -> int:
    """When the task that was just created began. The wait is parted, as the client gives up an answer after five seconds."""
    ends_at = time.monotonic() + ARRIVES_WITHIN_SECONDS
    while time.monotonic() < ends_at:
        if (answer := client.blpop(ARRIVALS, timeout=4)) is not None:
            return int(answer[1])
    raise TimeoutError(f"a task was not begun within {ARRIVES_WITHIN_SECONDS} s")


def main(module: str) -> None:
    """Answer requests until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    producer = Producer(importlib.import_module(module))
    for line in sys.stdin:
        request = json.loads(line)
        answer = getattr(producer, request.pop("do"))(**request)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
