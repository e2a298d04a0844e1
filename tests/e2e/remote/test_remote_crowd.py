"""Many remote workers at once: what they hold when their server is gone, and how they come back to it."""

from __future__ import annotations

import resource
from bisect import bisect_right
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dtq_site.foundation.clock import LeaseTimer, host_now
from dtq_site.foundation.observer import Observer, Recorder
from tasks.domain.outcome import Outcome, OutcomeKind
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import eventually
from workers.domain.card import WorkerCard
from workers.offline.folder import OutboxFolder
from workers.offline.journal import Journal
from workers.runtime.attempt import HeldAttempts
from workers.runtime.held_table import HeldTable
from workers.runtime.reporter import Reporter
from workers.transports.graphql_client import GraphQLClient
from workers.transports.remote import RemoteTransport

pytestmark = [pytest.mark.usefixtures("committed_db", "redis_server"), pytest.mark.timeout(240)]

CROWD = 200
MEGABYTE = 1024 * 1024
LEASE = timedelta(minutes=10)


class Member:
    """A worker without its processes: what claims, keeps and reports, on a store of its own."""

    def __init__(self, client: GraphQLClient, path: Path, heard: Callable[[Any], None]) -> None:
        observer = Observer(heard)
        self._card = card = WorkerCard(uuid4(), "member", "host", 1, (), {"square": {}}, 1, "remote", "1")
        folder = OutboxFolder(observer, path, MEGABYTE)
        self._journal = Journal(observer, folder)
        self._transport = RemoteTransport(observer, client, client, card, self._journal, now=host_now)
        self._held = HeldAttempts(HeldTable(1))
        self.reporter = Reporter(observer, self._transport, self._held, folder, self._journal, lambda rows: None)

    def claim(self) -> None:
        """Hold one task, as a worker does that is about to run it."""
        self._transport.sign_on(self._card)
        sent = LeaseTimer.sent_at()
        (self._task,) = self._transport.claim(uuid4(), 1, LEASE, from_database=False)
        self._held.add([self._task], sent)

    def work(self) -> None:
        """Have the result, and deliver it as soon as that can be."""
        self.reporter.outcome(Outcome(self._task.lease, OutcomeKind.COMPLETED, 0.1, self._task.payload["number"] ** 2))
        self.reporter.start()

    def leave(self) -> None:
        self.reporter.stop()
        self.reporter.join(20)
        self._journal.leave()


@pytest.fixture
def heard() -> Recorder:
    return Recorder()


@pytest.fixture
def crowd(proxy: TcpProxy, token_file: Path, tmp_path: Path, heard: Recorder) -> Iterator[list[Member]]:
    """The workers of a fleet, which share an HTTP client for the sake of this machine."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 20 * CROWD), most))
    client = GraphQLClient(proxy.url, token_file.read_text().strip)
    members = [Member(client, tmp_path / f"store-{number}", heard) for number in range(CROWD)]
    yield members
    for member in members:
        member.leave()
    client.close()


def most_in_a_second(moments: list[float]) -> int:
    """How many of the moments lie within one second, at the busiest."""
    ordered = sorted(moments)
    return max(bisect_right(ordered, moment + 1) - place for place, moment in enumerate(ordered))


@pytest.mark.long
def test_two_hundred_workers_that_come_back_spread_and_deliver_each_of_their_outcomes_once(
    crowd: list[Member], heard: Recorder, proxy: TcpProxy, enqueue: Callable[..., Any]
):
    from tasks.models import Task, TaskAttempt

    for number in range(CROWD):
        enqueue("square", {"number": number})
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(Member.claim, crowd))
    assert Task.objects.filter(status="PROCESSING").count() == CROWD

    proxy.cut()
    for member in crowd:
        member.work()
    eventually(lambda: len(heard.named("server.unreachable")) >= 5 * CROWD, 60)  # until they wait for seconds each
    before = len(proxy.connected_at)
    proxy.restore()
    eventually(lambda: Task.objects.filter(status="COMPLETED").count() == CROWD, 60)

    assert all(task.result == task.payload["number"] ** 2 and task.attempts == 1 for task in Task.objects.all())
    assert TaskAttempt.objects.count() == 0
    assert most_in_a_second(proxy.connected_at[before:]) < CROWD / 2
    eventually(lambda: all(member.reporter.idle for member in crowd), 20)
