"""Tasks that are made together, each after those that it depends on: `chain(fetch.task(url=…), parse.task()).enqueue()`.

A workflow is a value. It can be put together further, kept, and enqueued many times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from tasks.handling import port
from tasks.handling.port import EnqueueRequest


@dataclass(frozen=True)
class Step:
    """One task to be made, and the places of those steps of its workflow after which it runs."""

    request: EnqueueRequest
    after: tuple[int, ...] = ()


@dataclass(frozen=True)
class Workflow:
    """Steps, each behind those that it comes after."""

    steps: tuple[Step, ...]

    def then(self, *following: Workflow) -> Workflow:
        """This workflow, and after all that is last in it, each of the following, one after the other."""
        return chain(self, *following)

    def enqueue(self) -> list[Any]:
        """Create the tasks, all or none, and return them in the order of the steps.

        A step without a key of its own gets its handler's name as key, with a number from the second one of that name on.
        """
        requests = _with_keys([step.request for step in self.steps])
        return port.submit(
            [
                replace(request, depends_on=(*request.depends_on, *(requests[place].key for place in step.after)))
                for request, step in zip(requests, self.steps, strict=True)
            ]
        )


def chain(*parts: Workflow) -> Workflow:
    """The parts one after the other: what is first in each waits for all that is last in the one before."""
    steps: tuple[Step, ...] = ()
    last: tuple[int, ...] = ()
    for part in parts:
        moved = _moved(part, len(steps))
        linked = [step if step.after else replace(step, after=last) for step in moved]
        last = tuple(len(steps) + place for place in _last(part)) or last
        steps += tuple(linked)
    return Workflow(steps)


def group(*parts: Workflow) -> Workflow:
    """The parts beside each other; `group(…).then(final)` runs `final` when all of them have completed."""
    steps: tuple[Step, ...] = ()
    for part in parts:
        steps += tuple(_moved(part, len(steps)))
    return Workflow(steps)


def _moved(part: Workflow, by: int) -> Iterable[Step]:
    return [replace(step, after=tuple(place + by for place in step.after)) for step in part.steps]


def _last(part: Workflow) -> list[int]:
    """The places of the steps after which no other comes."""
    followed = {place for step in part.steps for place in step.after}
    return [place for place in range(len(part.steps)) if place not in followed]


def _with_keys(requests: list[EnqueueRequest]) -> list[EnqueueRequest]:
    taken = {request.key for request in requests}
    numbers: Counter[str] = Counter()

    def key_of(request: EnqueueRequest) -> str:
        while True:
            numbers[request.name] += 1
            number = numbers[request.name]
            key = request.name if number == 1 else f"{request.name[:90]}-{number}"
            if key not in taken:
                taken.add(key)
                return key

    return [request if request.key is not None else replace(request, key=key_of(request)) for request in requests]
