"""How a remote worker's handlers create tasks: at the server, or on this host's disk until the server is back."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Any

from dtq_site.foundation.errors import Unavailable
from dtq_site.foundation.observer import Observer
from tasks.domain.lease import Lease
from tasks.handling.port import EnqueueRequest
from workers.domain.requested import RequestedTask
from workers.offline.journal import Journal
from workers.offline.rows import Creation
from workers.transports import wire
from workers.transports.base import Unreachable
from workers.transports.graphql_client import ServerRefused
from workers.transports.reach import Reach
from workers.transports.worker_api import WorkerApi

CREATED_AT_ONCE = 100


class RemoteCreations:
    """The creations of one process's handlers."""

    def __init__(
        self, observer: Observer, reach: Reach, api: WorkerApi, journal: Journal, now: Callable[[], datetime]
    ) -> None:
        self._observer = observer
        self._reach = reach
        self._api = api
        self._journal = journal
        self._now = now

    def enqueue(self, parent: Lease, requests: Sequence[EnqueueRequest]) -> list[Any]:
        """Create tasks on behalf of a running one. Returns RequestedTasks, which wait on this disk while the server is away.

        Raises Unavailable if there is no room on this disk.
        """
        creations = self._creations(parent, requests)
        try:
            made = self._reach.ask_for_handler(lambda: self._api.create(parent, creations, self._now()))
        except Unreachable:
            if not self._journal.want(creations):
                raise Unavailable(
                    "The server is away, and there is no room on this disk to keep the request."
                ) from None
            return [RequestedTask(creation.request.name, creation.key) for creation in creations]
        return [
            RequestedTask(creation.request.name, creation.key, task["id"], task["status"])
            for creation, task in zip(creations, made, strict=True)
        ]

    def _creations(self, parent: Lease, requests: Sequence[EnqueueRequest]) -> list[Creation]:
        """The requests with keys of their own, so that each is created once however often it is sent."""
        asked_at = self._now()
        call = f"{uuid.uuid4()}" if any(request.key is not None for request in requests) else ""
        return [
            Creation(
                request if request.idempotency_key is not None else replace(request, idempotency_key=f"{uuid.uuid4()}"),
                asked_at,
                parent,
                call,
            )
            for request in requests
        ]

    def create_wanted(self) -> None:
        """Create what waits on this disk. Raises Unreachable."""
        while creations := self._journal.wanted(CREATED_AT_ONCE):
            self.create(creations)
            self._journal.created(creations)

    def create(self, creations: Sequence[Creation]) -> None:
        """Create tasks that were asked for while the server was away. What it refuses is told, and holds up no other."""
        for (parent, call), those in groupby(creations, key=lambda creation: (creation.parent, creation.call)):
            if parent is not None:
                for some in [list(those)] if call else wire.portions(list(those), self._now()):
                    self._create(parent, some)
                continue
            for creation in those:
                self._tell_refused(creation, "FORBIDDEN", "A script asked for it, in a store that is a worker's.")

    def _create(self, parent: Lease, creations: Sequence[Creation]) -> None:
        try:
            self._reach.ask(lambda: self._api.create(parent, creations, self._now()))
        except ServerRefused as error:
            if len(creations) > 1 and not creations[0].call:
                for creation in creations:
                    self._create(parent, [creation])
                return
            for creation in creations:
                self._tell_refused(creation, error.code, error.message)

    def _tell_refused(self, creation: Creation, code: str, reason: str) -> None:
        self._observer.emit(
            "creation.refused",
            name=creation.request.name,
            payload=creation.request.payload,
            idempotency_key=creation.key,
            parent=str(creation.parent.task_id) if creation.parent else None,
            code=code,
            error=reason,
        )
