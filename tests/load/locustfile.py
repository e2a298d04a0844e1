"""The users, as locust runs them: each class is a way of using the API.

Started by `swarm.py`, which says by options where the token is, how many tasks there may be in all, and where every request is
to be written down: locust's own figures are rounded.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gevent
from locust import FastHttpUser, constant, events, task
from locust.env import Environment
from locust.exception import StopUser
from websockets.exceptions import WebSocketException

from tests.load import names
from tests.support.graphql_socket import GraphQLSocketClient, signed_in

_CREATE = "mutation ($input: CreateTaskInput!) { createTask(input: $input) { id status } }"
_CREATE_MANY = "mutation ($inputs: [CreateTaskInput!]!) { createTasks(inputs: $inputs) { id } }"
_ONE = "query ($id: ID!) { task(id: $id) { id status result } }"
_LIST = "{ tasks(limit: 20) { id name status createdAt } }"
_STATISTICS = "{ taskStats { total queued completed } }"
_FOLLOW = "subscription ($id: ID!) { taskUpdated(id: $id, since: 0) { status } }"
BULK = 1000
ASK_AGAIN_SECONDS = 0.1
PATIENCE_SECONDS = 60.0

_requests: list[tuple[float, str, float, str]] = []


@events.init_command_line_parser.add_listener
def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--token-file", type=Path)
    parser.add_argument("--quota", type=int, default=0, help="how many tasks may be created in all; 0: any number")
    parser.add_argument("--requests-file", type=Path)


@events.init.add_listener
def _prepare(environment: Environment, **_: Any) -> None:
    options = environment.parsed_options
    environment.quota = Quota(options.quota, environment)
    environment.token = options.token_file.read_text()
    environment.places = itertools.count()


@events.request.add_listener
def _write_down(
    name: str, response_time: float, exception: BaseException | None, start_time: float | None = None, **_: Any
) -> None:
    _requests.append((start_time or time.time(), name, response_time, "" if exception is None else repr(exception)))


@events.quitting.add_listener
def _keep(environment: Environment, **_: Any) -> None:
    environment.parsed_options.requests_file.write_text(json.dumps(_requests))


class Quota:
    """Hands out the numbers of tasks, and ends the run when all of them are done."""

    def __init__(self, tasks: int, environment: Environment) -> None:
        self._numbers = iter(range(tasks)) if tasks else itertools.count()
        self._open = tasks
        self._environment = environment

    def take(self, count: int = 1) -> list[int]:
        """The next numbers, at most so many. A user for whom there is none stops."""
        taken = list(itertools.islice(self._numbers, count))
        if not taken:
            raise StopUser
        return taken

    def done(self, count: int = 1) -> None:
        """So many have been dealt with."""
        self._open -= count
        if self._open == 0:
            self._environment.runner.quit()


class Account(FastHttpUser):
    """Somebody with a token."""

    abstract = True
    wait_time = constant(0)

    def ask(self, name: str, query: str, **variables: Any) -> Any:
        """The data of the answer; None for a refusal, which counts as a failure."""
        body, headers = {"query": query, "variables": variables}, {"Authorization": f"Bearer {self.environment.token}"}
        with self.client.post("/graphql", json=body, headers=headers, name=name, catch_response=True) as response:
            answer = response.json() if response.status_code == 200 else {"errors": response.text}
            if "errors" in answer:
                response.failure(str(answer["errors"]))
                return None
            return answer["data"]

    def create(self, number: int) -> str | None:
        """Create a task; its id."""
        data = self.ask(names.CREATE, _CREATE, input={"name": "load", "payload": {"number": number}})
        return data and data["createTask"]["id"]


class Steady(Account):
    """Creates one task a second, and sometimes looks: at a task, at the list, at the statistics."""

    def on_start(self) -> None:
        """Begin at a moment of the second of its own, so that requests do not come in heaps."""
        self._place = next(self.environment.places)
        phase = self._place * 0.618 % 1
        self._due = time.time() + phase
        gevent.sleep(phase)

    def wait_time(self) -> float:
        """Until the next round is due, which does not wait for answers that are late."""
        self._due += 1
        return max(0.0, self._due - time.time())

    @task
    def use(self) -> None:
        """One round: a creation, and one look in every fifth round."""
        (number,) = self.environment.quota.take()
        created = self.create(number)
        looks: dict[int, Callable[[], Any]] = {
            0: partial(self.ask, names.LIST, _LIST),
            1: partial(self.ask, names.STATISTICS, _STATISTICS),
        }
        self._place += 1
        if created and self._place % 5 == 0:
            looks.get(self._place // 5 % 10, partial(self.ask, names.ONE, _ONE, id=created))()


class Rusher(Account):
    """Creates tasks one after another, as fast as it is answered."""

    @task
    def use(self) -> None:
        """One task."""
        self.create(*self.environment.quota.take())


class Bulk(Account):
    """Creates a thousand tasks in a request."""

    @task
    def use(self) -> None:
        """One request."""
        numbers = self.environment.quota.take(BULK)
        inputs = [{"name": "load", "payload": {"number": number}} for number in numbers]
        self.ask(names.CREATE_MANY, _CREATE_MANY, inputs=inputs)
        self.environment.quota.done(len(numbers))


class Following(Account):
    """Creates a task, follows it to its end, and goes on with the next."""

    abstract = True

    @task
    def use(self) -> None:
        """One task from its creation to its end."""
        (number,) = self.environment.quota.take()
        begun, failure = time.time(), None
        try:
            created = self.create(number)
            status = created and self.follow(created)
            if status != "COMPLETED":
                failure = AssertionError(f"the task ended as {status}")
        except (AssertionError, TimeoutError, WebSocketException) as error:
            failure = error
        self.environment.events.request.fire(
            request_type=type(self).__name__,
            name=names.FLOW,
            start_time=begun,
            response_time=(time.time() - begun) * 1000,
            response_length=0,
            exception=failure,
            context={},
        )
        self.environment.quota.done()

    def follow(self, id_: str) -> str:
        """The state in which it ended."""
        raise NotImplementedError


class Poller(Following):
    """Asks again and again."""

    def follow(self, id_: str) -> str:
        """Ask until it is over."""
        deadline = time.time() + PATIENCE_SECONDS
        while time.time() < deadline:
            data = self.ask(names.ONE, _ONE, id=id_)
            if data and data["task"]["status"] not in ("PENDING", "QUEUED", "PROCESSING"):
                return data["task"]["status"]
            gevent.sleep(ASK_AGAIN_SECONDS)
        raise TimeoutError(f"{id_} has not ended")


class Subscriber(Following):
    """Is told over a WebSocket."""

    _socket: GraphQLSocketClient

    def on_start(self) -> None:
        """Open it."""
        self._opened = signed_in(f"{self.host.replace('http', 'ws', 1)}/graphql", self.environment.token)
        self._socket = self._opened.__enter__()

    def on_stop(self) -> None:
        """Close it."""
        self._opened.__exit__(None, None, None)

    def follow(self, id_: str) -> str:
        """Subscribe until it is told to be over."""
        shown = self._socket.until(self._socket.start(_FOLLOW, id=id_), "taskUpdated", "COMPLETED", PATIENCE_SECONDS)
        return shown[-1]["status"]
