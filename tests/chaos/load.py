"""The load and its client: a process that creates and cancels tasks over time and writes down what it was told.

What is wanted follows from a seed, so a client that was killed goes on where its journal ends. A request of which it does not
know whether it was served is made again with the same idempotency key.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.chaos import journal
from tests.chaos.evidence import WORKER_LOST

BATCH = 50
AGAIN_SECONDS = 0.1
LONG_SECONDS = (4.0, 8.0)
POISON_EVERY = 1000
POISON_AT = 100
QUEUES = ("default", "mail", "reports")
PRIORITIES = (1, 5, 5, 5, 7, 10, 20)
CALM_QUEUE = "calm"
CALM_FIRST_NUMBER = 1_000_000
CALM_TASK_SECONDS = 0.4

ENDS = {
    "chaos-noop": "COMPLETED",
    "chaos-sleep": "COMPLETED",
    "chaos-deaf": "COMPLETED",
    "chaos-async": "COMPLETED",
    "chaos-flaky": "COMPLETED",
    "chaos-parent": "COMPLETED",
    "chaos-child": "COMPLETED",
    "chaos-hopeless": "DEAD_LETTER",
    "chaos-useless": "FAILED",
    "chaos-poison": WORKER_LOST,
}
_MIX = {
    "chaos-noop": 40,
    "chaos-sleep": 25,
    "chaos-async": 12,
    "chaos-flaky": 8,
    "chaos-parent": 6,
    "chaos-hopeless": 3,
    "chaos-useless": 3,
    "chaos-deaf": 2,
}


@dataclass(frozen=True)
class Wish:
    """A task that the client wants, and when: `at` seconds into the load it asks for it, or asks again."""

    at: float
    number: int
    name: str
    payload: dict[str, Any]
    queue: str
    priority: int
    delay_seconds: float
    key: str | None


@dataclass(frozen=True)
class Regret:
    """The client cancels the task of that number, `at` seconds into the load."""

    at: float
    number: int


Step = Wish | Regret


def make_load(seed: int, tasks: int, seconds: float) -> list[Step]:
    """What the client does, in order of time; the same for the same arguments."""
    chance = random.Random(seed)
    steps: list[Step] = []
    for number in range(tasks):
        wish = _wish(chance, number, at=number / tasks * seconds)
        steps.append(wish)
        if wish.key is not None and chance.random() < 0.1:
            steps.append(Wish(**{**vars(wish), "at": wish.at + chance.uniform(0, 3)}))
        if wish.name in ("chaos-deaf", "chaos-sleep") and chance.random() < 0.1:
            steps.append(Regret(wish.at + chance.uniform(0, 1), number))
    return sorted(steps, key=lambda step: step.at)


def _wish(chance: random.Random, number: int, at: float) -> Wish:
    name = "chaos-poison" if number % POISON_EVERY == POISON_AT else chance.choices(list(_MIX), list(_MIX.values()))[0]
    payload: dict[str, Any] = {"number": number}
    if name == "chaos-deaf":
        payload["seconds"] = chance.uniform(*LONG_SECONDS)
    elif name in ("chaos-sleep", "chaos-async"):
        payload["seconds"] = chance.uniform(*LONG_SECONDS) if chance.random() < 0.02 else chance.uniform(0.01, 0.15)
    elif name == "chaos-flaky":
        payload["failures"] = chance.randint(1, 3)
    delay = chance.uniform(0.2, 4.0) if chance.random() < 0.15 else 0.0
    key = f"wish {number}" if chance.random() < 0.8 else None
    return Wish(at, number, name, payload, chance.choice(QUEUES), chance.choice(PRIORITIES), delay, key)


def make_calm_load(seed: int, tasks: int, seconds: float) -> list[Step]:
    """A backlog of one queue, of all priorities: most of it at once, the rest over some time."""
    chance = random.Random(seed)
    steps: list[Step] = []
    for number in range(CALM_FIRST_NUMBER, CALM_FIRST_NUMBER + tasks):
        at = 0.0 if chance.random() < 0.7 else chance.uniform(0, seconds)
        payload = {"number": number, "seconds": CALM_TASK_SECONDS}
        steps.append(
            Wish(at, number, "chaos-sleep", payload, CALM_QUEUE, chance.choice(PRIORITIES), 0.0, f"wish {number}")
        )
    return sorted(steps, key=lambda step: step.at)


LOADS = {"mixed": make_load, "calm": make_calm_load}


# --- the client -----------------------------------------------------------------------------------------------------


class Client:
    """Takes the steps of a load when they are due, each until it has an answer. `known` are the lines of its predecessors."""

    def __init__(self, steps: Sequence[Step], own: journal.Journal, known: Sequence[dict[str, Any]]) -> None:
        from accounts.registration import DEFAULT_TEAM, team_named
        from tasks.submission import Owner

        self._journal = own
        self._taken = {line["step"] for line in known if "step" in line}
        self._ids = {line["number"]: line["task"] for line in known if line["event"] == "accepted"}
        self._steps = [(index, step) for index, step in enumerate(steps) if index not in self._taken]
        self._owner = Owner(_persistently(lambda: team_named(DEFAULT_TEAM)).pk, None)

    def run(self, begun_at: float) -> None:
        """Take all steps; `begun_at` is the beginning of the load on this host's monotonic clock."""
        for (kind, _), steps in groupby(self._steps, key=lambda pair: (type(pair[1]), pair[0] // BATCH)):
            pending = list(steps)
            while pending:
                due = [pair for pair in pending if begun_at + pair[1].at <= time.monotonic()]
                if not due:
                    time.sleep(0.02)
                    continue
                pending = pending[len(due) :]
                _persistently(partial(self._ask if kind is Wish else self._cancel, due))

    def _ask(self, wishes: Sequence[tuple[int, Wish]]) -> None:
        from dtq_site.foundation.database import database_clock
        from tasks import submission

        now = database_clock.now()
        requests, asked = [], []
        for _, wish in wishes:
            due = now + timedelta(seconds=wish.delay_seconds)
            requests.append(_request(wish, due))
            not_before = due.timestamp() if wish.delay_seconds else 0.0
            asked.append({"event": "asked", "number": wish.number, "key": wish.key, "not_before": not_before})
        self._journal.write(*asked)
        if len(requests) == 1:
            made = [submission.submit_one(requests[0], self._owner)]
        else:
            made = submission.submit(requests, self._owner)
        answers = [(index, wish.number, str(task.pk)) for (index, wish), task in zip(wishes, made, strict=True)]
        self._journal.write(*({"event": "accepted", "step": i, "number": n, "task": task} for i, n, task in answers))
        self._ids |= {number: task for _, number, task in answers}

    def _cancel(self, regrets: Sequence[tuple[int, Regret]]) -> None:
        from dtq_site.foundation.database import database_clock
        from dtq_site.foundation.errors import Conflict
        from tasks import lifecycle

        for index, regret in regrets:
            task, event = self._ids[regret.number], "cancelled"
            try:
                lifecycle.cancel(UUID(task), database_clock.now())
            except Conflict:
                event = "ended before"
            self._journal.write({"event": event, "step": index, "number": regret.number, "task": task})


def _request(wish: Wish, due: Any) -> Any:
    from tasks.domain.submission import Request

    return Request(
        name=wish.name,
        payload=wish.payload,
        queue=wish.queue,
        priority=wish.priority,
        scheduled_at=due if wish.delay_seconds else None,
        idempotency_key=wish.key,
    )


def _persistently(action: Any) -> Any:
    """Do it again and again until the database answers: what a caller does who is told UNAVAILABLE."""
    from django.db import DatabaseError, InterfaceError

    from dtq_site.foundation.connections import close_broken_connections, is_unavailable
    from dtq_site.foundation.database import is_lock_conflict

    while True:
        try:
            return action()
        except (DatabaseError, InterfaceError) as error:
            if not (is_unavailable(error) or is_lock_conflict(error)):
                raise
            close_broken_connections()
            time.sleep(AGAIN_SECONDS)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--tasks", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--begun", type=float, required=True, help="when the load began, on the monotonic clock")
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--load", choices=LOADS, required=True)
    return parser.parse_args()


def main() -> None:
    """Run one client to the end of its load."""
    import django

    options = _arguments()
    django.setup()
    steps = LOADS[options.load](options.seed, options.tasks, options.seconds)
    Client(steps, journal.Journal(options.journal), journal.read(options.journal)).run(options.begun)


if __name__ == "__main__":
    main()
