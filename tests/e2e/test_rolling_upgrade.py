"""An upgrade without downtime: the last release and the present code side by side over one database, there and back again."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path

import MySQLdb
import pytest

from dtq_site import configuration
from dtq_site.foundation.version import VERSION
from tasks.domain.states import TERMINAL
from tests.chaos import evidence, journal
from tests.chaos.chaos_handlers import JOURNAL_VARIABLE
from tests.chaos.checker import judge
from tests.chaos.evidence import Evidence, Promises
from tests.chaos.load import ENDS
from tests.chaos.observation import Observer
from tests.e2e.rolling_load import Balancer, RollingLoad
from tests.e2e.versions import Version
from tests.support.processes import Process
from tests.support.releases import last_release
from tests.support.servers import MariaDbServer, RedisServer
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import eventually

BACKOFF_SECONDS, MAX_LOST_LEASES, CONCURRENCY = 0.2, 3, 5
DIRECT = ("--queues", "default,mail", "--concurrency", str(CONCURRENCY))
REMOTE_QUEUE = "reports"
PER_SECOND, MOST = 20.0, 6000
STEP_TASKS = 60
SLOT_SECONDS = 2
EVERY_KIND_OF_EXPANSION = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tasks", "{last}")]
    operations = [
        migrations.CreateModel("Trial", [("id", models.BigAutoField(primary_key=True))]),
        migrations.AddField("task", "trial_note", models.CharField(max_length=20, null=True)),
        migrations.AddField("task", "trial_count", models.IntegerField(db_default=0)),
        migrations.AddIndex("task", models.Index(fields=["trial_note", "id"], name="task_trial_note")),
    ]
"""
SCHEDULE = "mutation ($input: ScheduleInput!) { createSchedule(input: $input) { id } }"
PAUSE = "mutation ($id: ID!) { pauseSchedule(id: $id) { id } }"
SLOTS = (
    "SELECT scheduled_at FROM tasks_task WHERE schedule_id IS NOT NULL AND status = 'COMPLETED' ORDER BY scheduled_at"
)
VERSIONS = "SELECT DISTINCT transport, version FROM workers_worker"
EXPECTED_WARNINGS = {
    "task.failed",  # by handlers that are made to
    "task.dead_lettered",
    "server.unreachable",  # a remote worker whose connection ends with the server goes to the next one
}


class Trial:
    """One installation: its servers, its two versions, and what has come of its tasks."""

    def __init__(self, folder: Path, mariadb: MariaDbServer, redis: RedisServer) -> None:
        self.journal = folder / "journal"
        self.journal.mkdir()
        self._mariadb = mariadb
        self._environment = {
            **{name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"},
            **dict.fromkeys(configuration.variables(), ""),
            "DATABASE_URL": mariadb.url(),
            "REDIS_URL": redis.url,
            "DTQ_DATA_FOLDER": str(folder / "data"),
            "DTQ_HANDLERS": "tests.chaos.chaos_handlers",
            "DTQ_MAX_LOST_LEASES": str(MAX_LOST_LEASES),
            "RETRY_BACKOFF": str(round(BACKOFF_SECONDS * 1000)),
            "JWT_SECRET": secrets.token_hex(32),
            JOURNAL_VARIABLE: str(self.journal),
        }
        self.release = last_release()
        self.old = Version.of(self.release, folder / "old", self._environment)
        self.new = Version.present(folder / "new", self._environment)
        self.observer = Observer(self._connect)

    def go_on(self) -> None:
        """Wait until so many more tasks have ended, in what is in service now."""
        before = self._ended()
        eventually(lambda: self._ended() >= before + STEP_TASKS, 60, every_seconds=0.2)

    def _ended(self) -> int:
        return sum(row.status in TERMINAL for row in self.observer.rows().values())

    def read(self, statement: str) -> list[tuple]:
        """The rows of a query."""
        with closing(self._connect()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def _connect(self) -> MySQLdb.Connection:
        server = self._mariadb
        return MySQLdb.connect(
            host="127.0.0.1", port=server.port, user="dtq", password=server.password, database="dtq", connect_timeout=5
        )

    def evidence(self, load: RollingLoad) -> Evidence:
        """All that the judge wants to know."""
        lines = journal.read(self.journal)
        return Evidence(
            Promises(BACKOFF_SECONDS, MAX_LOST_LEASES, CONCURRENCY, ENDS),
            self.observer.rows(),
            load.asked,
            [*load.accepted, *evidence.enqueued(lines)],
            frozenset(load.cancelled),
            evidence.executions(lines),
            self.observer.endings(),
            exits=[*self.old.exits(), *self.new.exits()],
        )


@pytest.fixture
def trial(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Trial]:
    """An installation of the last release, with accounts and nothing running."""
    if request.config.getoption("backing") != "mariadb":
        pytest.skip("an installation that is upgraded without downtime stands on what --backing=mariadb needs")
    with ExitStack() as cleanup:
        mariadb, redis = MariaDbServer(tmp_path / "mariadb"), RedisServer(tmp_path / "redis")
        for server in (mariadb, redis):
            server.start()
            cleanup.callback(server.stop)
        trial = Trial(tmp_path, mariadb, redis)
        for version in (trial.old, trial.new):
            cleanup.callback(version.clear_away)
        trial.old.run("migrate", "--verbosity", "0")
        trial.old.run("seed_users")
        trial.new.add_migration("tasks", "9999_trial", EVERY_KIND_OF_EXPANSION)
        yield trial


@pytest.fixture
def balancer() -> Iterator[Balancer]:
    """No server is in service yet."""
    balancer = Balancer("admin", "admin123")
    yield balancer
    balancer.close()


@pytest.fixture
def load(balancer: Balancer) -> Iterator[RollingLoad]:
    """It is started by the test."""
    load = RollingLoad(balancer, seed=8, per_second=PER_SECOND, most=MOST)
    yield load
    if load.is_alive():
        load.stop()


def start_remote(version: Version, front: TcpProxy, folder: Path, token: Path) -> Process:
    """A remote worker of that version, with a store of its own."""
    where = ("--server", front.url, "--token-file", str(token), "--store", str(folder))
    return version.start_remote_worker(*where, "--queues", REMOTE_QUEUE)


def replace(leaving: Version, coming: Version, balancer: Balancer, front: TcpProxy) -> None:
    """Take a version out of service: first it gets no more requests, then it is told to end."""
    balancer.remove(leaving.port)
    front.lead_to(coming.port)
    leaving.retire()


def assert_every_promise_is_kept(trial: Trial, load: RollingLoad) -> None:
    """Once all processes have ended: no request failed, tasks and slots came out right, and nobody complained."""
    found = trial.evidence(load)
    assert load.failures == []
    assert [violation for finding in judge(found) for violation in finding.violations] == []
    assert [ending for ending in found.endings if ending.ending == "lost"] == []
    assert {ending.task for ending in found.endings if ending.ending == "refused"} <= load.cancelled
    slots = [slot for (slot,) in trial.read(SLOTS)]
    assert len(slots) > 10
    assert {(later - slot).total_seconds() for slot, later in pairwise(slots)} == {SLOT_SECONDS}
    for process in found.exits:
        assert not re.search(r"\[(error|critical)", process.output), process
        assert set(re.findall(r"\[warning *\] (\S+)", process.output)) <= EXPECTED_WARNINGS, process


@pytest.mark.long
@pytest.mark.timeout(400)
def test_versions_replace_each_other_under_load_there_and_back_and_every_promise_is_kept(
    trial: Trial, balancer: Balancer, load: RollingLoad, tmp_path: Path
):
    old, new = trial.old, trial.new
    token = tmp_path / "token"
    issued = old.run("issue_worker_token", "far-away", "--team", "default", "--queue", REMOTE_QUEUE)
    token.write_text(re.findall(r"dtqw_\S+", issued)[0])
    old.start(*DIRECT)
    balancer.add(old.port)
    front = TcpProxy(old.port)
    older_remote = start_remote(old, front, tmp_path / "older-store", token)
    every_two_seconds = {"name": "chaos-noop", "payload": {"number": -1}, "intervalSeconds": SLOT_SECONDS}
    schedule = balancer.ask(SCHEDULE, input=every_two_seconds)["data"]["createSchedule"]["id"]
    load.start()
    trial.go_on()

    new.run("migrate", "--verbosity", "0")
    trial.go_on()
    new.start(*DIRECT)
    balancer.add(new.port)
    trial.go_on()
    replace(old, new, balancer, front)
    newer_remote = start_remote(new, front, tmp_path / "newer-store", token)
    trial.go_on()
    assert older_remote.terminate() == 0
    trial.go_on()

    old.start(*DIRECT)
    balancer.add(old.port)
    assert newer_remote.terminate() == 0
    older_remote = start_remote(old, front, tmp_path / "older-store", token)
    replace(new, old, balancer, front)
    trial.go_on()

    load.stop()
    balancer.ask(PAUSE, id=schedule)
    eventually(lambda: trial.observer.open_tasks() == 0, 60, every_seconds=0.2)
    workers = {(transport, version) for transport, version in trial.read(VERSIONS)}
    assert older_remote.terminate() == 0
    old.retire()
    front.close()
    assert_every_promise_is_kept(trial, load)
    assert workers == {
        (transport, each) for transport in ("direct", "remote") for each in (trial.release.version, VERSION)
    }
