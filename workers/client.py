"""A client for scripts: create tasks and follow them over the API, also from a machine that is cut off now and then.

    from workers.client import Client, SignIn

    server = "https://dtq.example.com/graphql"
    with Client(server, SignIn(server, "ann", password), store="~/.dtq/client") as dtq:
        task = dtq.enqueue("send-email", {"email": "ann@example.com"})

No Django here. With a store, a task that is asked for while the server is away waits on this disk and is created once: when
`deliver` is called, or when the next client is opened on the same store.
"""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from dtq_site.foundation.backoff import spread
from dtq_site.foundation.clock import elapsed_clock, host_now
from dtq_site.foundation.errors import Unavailable
from dtq_site.foundation.observer import Observer
from tasks.domain.states import TERMINAL
from tasks.handling.port import EnqueueRequest
from workers.domain.requested import RequestedTask
from workers.offline.errors import StoreDamaged
from workers.offline.folder import OutboxFolder
from workers.offline.journal import Journal
from workers.offline.rows import Creation
from workers.offline.store import Store
from workers.transports import wire
from workers.transports.base import Unreachable
from workers.transports.graphql_client import GraphQLClient, ServerRefused, TokenRefused

STORE_BYTES = 64 * 1024 * 1024
AT_ONCE = 100
LOOK_SECONDS = 0.5


class SignIn:
    """The access token of an account, for a `Client`; asks for a new one when half of the time of the last is over.

    Thread-safe. Calling it raises TokenRefused if name and password do not fit, Unreachable if the server is away.
    """

    def __init__(self, server: str, username: str, password: str) -> None:
        self._graphql = GraphQLClient(server, None)
        self._who = {"username": username, "password": password}
        self._lock = threading.Lock()
        self._token, self._good_until = "", -math.inf

    def __call__(self) -> str:
        """The token."""
        with self._lock:
            if elapsed_clock() >= self._good_until:
                answer = self._graphql.ask("login", {"input": self._who})["login"]
                self._token, self._good_until = answer["accessToken"], elapsed_clock() + answer["expiresIn"] / 2
            return self._token


class Client:
    """One server and one access token: a text, or a function that returns it, such as a `SignIn`.

    Close it, or use it in a ``with`` block.
    """

    def __init__(
        self,
        server: str,
        token: str | Callable[[], str],
        *,
        store: str | Path | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._graphql = GraphQLClient(server, token if callable(token) else lambda: token)
        heard = observer or Observer()
        self._folder = None if store is None else OutboxFolder(heard, Path(store).expanduser(), STORE_BYTES, server)
        self._journal = None if self._folder is None else Journal(heard, self._folder)
        self.refused: list[tuple[str, str]] = []
        """The keys of tasks that were asked for earlier and that the server refuses for good, each with its reason."""

    def __enter__(self) -> Client:
        """Deliver what waits, if the server is there."""
        self.deliver()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Deliver what waits, if the server is there, and close."""
        self.deliver()
        self.close()

    def enqueue(self, name: str, payload: dict[str, Any] | None = None, **options: Any) -> RequestedTask:
        """Create a task; `options` are those of a handler's `.options(…)`, an `idempotency_key` of your own among them.

        Raises ServerRefused, with a code and a field, for what is wrong; TokenRefused; Unavailable if the server is away and
        there is no store, or no room in it.
        """
        return self.enqueue_many([EnqueueRequest(name, dict(payload or {}), **options)])[0]

    def enqueue_many(self, requests: Sequence[EnqueueRequest]) -> list[RequestedTask]:
        """Create tasks, all or none; see `enqueue`."""
        creations = [
            Creation(replace(request, idempotency_key=request.idempotency_key or str(uuid.uuid4())), host_now())
            for request in requests
        ]
        try:
            return self._create(creations)
        except TokenRefused:
            raise  # a person can mend that, and is told at once
        except Unreachable as error:
            if self._journal is None or not self._journal.want(creations):
                raise Unavailable(f"The server is away ({error}), and nothing keeps the request.") from error
        return [RequestedTask(creation.request.name, creation.key) for creation in creations]

    def deliver(self) -> bool:
        """Create what waits on this disk, also what earlier clients have left there; False if the server is away."""
        if self._journal is None or self._folder is None:
            return True
        try:
            while waiting := self._journal.wanted(AT_ONCE):
                self._create_each(waiting)
                self._journal.created(waiting)
            while (left := self._folder.inherit()) is not None:
                self._deliver_from(self._folder, left)
        except Unreachable:
            return False
        return True

    def task(self, task_id: str) -> dict[str, Any]:
        """The task as it stands: id, name, status, progress, result, error. Raises Unreachable or ServerRefused."""
        found = self._graphql.ask("task", {"id": task_id})["task"]
        if found is None:
            raise ServerRefused("NOT_FOUND", "There is no such task, or none that you may see.")
        return dict(found)

    def wait(self, task_id: str, timeout_seconds: float = 60.0) -> dict[str, Any]:
        """Wait until the task has ended, through times without the server; raises TimeoutError."""
        ends_at = elapsed_clock() + timeout_seconds
        while True:
            try:
                if (found := self.task(task_id))["status"] in TERMINAL:
                    return found
            except Unreachable:
                pass
            if elapsed_clock() > ends_at:
                raise TimeoutError(f"the task {task_id} has not ended within {timeout_seconds:g} s")
            time.sleep(spread(LOOK_SECONDS))

    def close(self) -> None:
        """Use it no longer; what waits stays on the disk."""
        if self._journal is not None:
            self._journal.leave()
        self._graphql.close()

    def _deliver_from(self, folder: OutboxFolder, store: Store) -> None:
        """Create what scripts have left in the file. What workers have left in it is for workers."""
        try:
            while (waiting := store.creations(AT_ONCE)) and all(each.parent is None for each in waiting):
                self._create_each(waiting)
                store.forget_creations(waiting)
            give_up = folder.discard if store.is_empty else folder.pass_over
        except StoreDamaged as error:
            folder.set_aside(store, error)
            return
        except BaseException:
            folder.release(store)
            raise
        give_up(store)

    def _create_each(self, creations: Sequence[Creation]) -> None:
        """Create them; one that the server refuses holds up no other."""
        are_linked = any(each.request.key is not None for each in creations)
        for some in [creations] if are_linked else wire.portions(creations, host_now()):
            self._create_some(some)

    def _create_some(self, creations: Sequence[Creation]) -> None:
        try:
            self._create(creations)
        except ServerRefused as error:
            if len(creations) == 1:
                self.refused.append((creations[0].key, error.message))
                return
            for creation in creations:
                self._create_some([creation])

    def _create(self, creations: Sequence[Creation]) -> list[RequestedTask]:
        now = host_now()
        inputs = [wire.write_creation(creation, now) for creation in creations]
        made = self._graphql.ask("create_tasks", {"inputs": inputs})["createTasks"]
        return [
            RequestedTask(creation.request.name, creation.key, task["id"], task["status"])
            for creation, task in zip(creations, made, strict=True)
        ]
