"""A remote worker, composed: the runtime of every worker, over the API and with a journal on this host's disk."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from dtq_site.foundation.clock import host_now
from dtq_site.foundation.logging import say_always
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.version import VERSION
from tasks.handling import registry
from workers.domain.card import WorkerCard
from workers.offline.folder import OutboxFolder
from workers.offline.journal import Journal
from workers.options import WorkersOptions
from workers.runtime.held_table import HeldTable
from workers.runtime.keeper import Keeper
from workers.runtime.look_ahead import Ahead, rows_for
from workers.runtime.supervisor import Supervisor
from workers.runtime.worker import Recycling, Worker
from workers.transports.graphql_client import GraphQLClient
from workers.transports.remote import RemoteTransport
from workers.transports.remote_keeping import RemoteKeeping

HORIZON_SECONDS = 1.0
"""How far ahead short tasks are claimed: a round trip over a long way takes as long as many of them."""

ANSWER_SECONDS = 10.0
CLAIMING_CONNECTIONS = 1
_HERE = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True)
class RemoteWorkers:
    """What the worker processes of this host have in common."""

    server: str
    token: Callable[[], str]
    name: str
    queues: tuple[str, ...]
    concurrency: int
    processes: int
    prefetch: int
    offline_for: timedelta
    store: Path
    options: WorkersOptions
    health_file: str
    stuck_after: timedelta

    def run(self, observer: Observer) -> int:
        """Work until told to stop; returns the exit code."""
        address = urlsplit(self.server)
        if address.scheme == "http" and address.hostname not in _HERE:
            observer.emit("connection.readable", server=self.server)
        ids = [uuid.uuid4() for _ in range(self.processes)]
        folder = OutboxFolder(observer, self.store, self.options.outbox_mb * 1024 * 1024, self.server)
        ahead = Ahead(HORIZON_SECONDS, self.prefetch)

        def build(slot: int, table: HeldTable) -> Worker:
            card = self._card(ids[slot], slot)
            say_always(worker=card.name)
            journal = Journal(observer, folder)
            claims = GraphQLClient(self.server, self.token, connections=CLAIMING_CONNECTIONS)
            transport = RemoteTransport(observer, self._client(), claims, card, journal, now=host_now)
            return Worker(
                card,
                transport,
                observer,
                table,
                folder,
                lease=self.offline_for,
                grace=self.options.grace_period,
                recycling=Recycling(self.options.recycle_after_tasks, self.options.recycle_above_mb * 1024 * 1024),
                ahead=ahead,
                journal=journal,
            )

        def build_keeper(tables: Sequence[HeldTable]) -> Keeper:
            return Keeper(
                observer,
                RemoteKeeping(observer, self._client(), self._card(ids[0], 0), folder),
                tables,
                folder.kept_leases,
                lease=self.offline_for,
                hard_limit_after=self.options.hard_limit_after,
                ahead=ahead,
            )

        return Supervisor(
            observer,
            self.processes,
            build,
            build_keeper,
            _nothing_is_shared,
            rows=rows_for(self.concurrency, self.prefetch),
            grace_seconds=self.options.grace_period.total_seconds(),
            health_file=self.health_file,
            stuck_after_seconds=self.stuck_after.total_seconds(),
        ).run()

    def _client(self) -> GraphQLClient:
        return GraphQLClient(self.server, self.token, answer_seconds=ANSWER_SECONDS)

    def _card(self, worker_id: uuid.UUID, slot: int) -> WorkerCard:
        return WorkerCard(
            id=worker_id,
            name=self.name if self.processes == 1 else f"{self.name}/{slot + 1}",
            hostname=socket.gethostname(),
            pid=os.getpid(),
            queues=self.queues,
            handlers={handler.name: handler.declaration.to_json() for handler in registry.registered().values()},
            concurrency=self.concurrency,
            transport="remote",
            version=VERSION,
        )


def _nothing_is_shared() -> None:
    """Connections are made after the fork."""
