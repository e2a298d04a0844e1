"""A client that creates and cancels tasks over the API while servers come and go, and remembers what it was told."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import httpx

from tests.chaos.evidence import Accepted, Asked
from tests.chaos.load import Step, Wish, make_load

CREATE = "mutation ($input: CreateTaskInput!) { createTask(input: $input) { id } }"
CANCEL = "mutation ($id: ID!) { cancelTask(id: $id) { status } }"


class Balancer:
    """Sends requests in turn to the servers that are in service, as a load balancer does; it repeats none."""

    def __init__(self, username: str, password: str) -> None:
        self._login = {"username": username, "password": password}
        self._ports: list[int] = []
        self._turns = count()
        self._token = ""
        self._http = httpx.Client(timeout=30)
        self._busy = threading.Lock()

    def add(self, port: int) -> None:
        """Have a server in service. The first one tells the token, which is good with all."""
        if not self._token:
            answer = self._http.post(f"http://127.0.0.1:{port}/auth/login", json=self._login)
            self._token = answer.raise_for_status().json()["access_token"]
        self._ports = [*self._ports, port]

    def remove(self, port: int) -> None:
        """Send it nothing more; returns when what was under way has been answered."""
        with self._busy:
            self._ports = [each for each in self._ports if each != port]

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The answer to an operation."""
        with self._busy:
            port = self._ports[next(self._turns) % len(self._ports)]
            answer = self._http.post(
                f"http://127.0.0.1:{port}/graphql",
                json={"query": query, "variables": variables},
                headers={"Authorization": f"Bearer {self._token}"},
            )
        return answer.raise_for_status().json()

    def close(self) -> None:
        """End its connections."""
        self._http.close()


class RollingLoad(threading.Thread):
    """Asks for `per_second` tasks of the mixed load until it is stopped. What fails is in `failures`, and is not tried again."""

    def __init__(self, balancer: Balancer, *, seed: int, per_second: float, most: int) -> None:
        super().__init__(name="load", daemon=True)
        self.asked: dict[int, Asked] = {}
        self.accepted: list[Accepted] = []
        self.cancelled: set[str] = set()
        self.failures: list[str] = []
        self._balancer = balancer
        self._steps = make_load(seed, most, most / per_second)
        self._ids: dict[int, str] = {}
        self._stopping = threading.Event()

    def run(self) -> None:
        """Take the steps, each when it is due."""
        for step in self._due():
            try:
                self._take(step)
            except (httpx.HTTPError, AssertionError) as error:
                self.failures.append(f"{step}: {error!r}")

    def stop(self) -> None:
        """Ask for nothing more; returns when the last answer is there."""
        self._stopping.set()
        self.join()

    def _due(self) -> Iterator[Step]:
        begun = time.monotonic()
        for step in self._steps:
            if isinstance(step, Wish) and step.name == "chaos-poison":
                continue
            if self._stopping.wait(max(0.0, begun + step.at - time.monotonic())):
                return
            yield step

    def _take(self, step: Step) -> None:
        if isinstance(step, Wish):
            self._create(step)
        elif step.number in self._ids:
            self._cancel(self._ids[step.number])

    def _create(self, wish: Wish) -> None:
        wanted = {"name": wish.name, "payload": wish.payload, "queue": wish.queue, "priority": wish.priority}
        if wish.delay_seconds:
            wanted["delaySeconds"] = wish.delay_seconds
        if wish.key is not None:
            wanted["idempotencyKey"] = wish.key
        not_before = time.time() + wish.delay_seconds if wish.delay_seconds else 0.0
        self.asked.setdefault(wish.number, Asked(wish.number, wish.key, not_before))
        answer = self._balancer.ask(CREATE, input=wanted)
        assert "errors" not in answer, answer
        task = answer["data"]["createTask"]["id"]
        self._ids[wish.number] = task
        self.accepted.append(Accepted(task, wish.number))

    def _cancel(self, task: str) -> None:
        answer = self._balancer.ask(CANCEL, id=task)
        if "errors" not in answer:
            self.cancelled.add(task)
        else:
            assert answer["errors"][0]["extensions"]["code"] == "CONFLICT", answer
