"""Real schedulers that are killed, or that lose their servers, in the midst of promotion and of retention."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from tests.e2e.test_outage import own, restart, server  # noqa: F401 - fixtures of a database that may be stopped
from tests.support.processes import Process, Processes
from tests.support.servers import RedisServer
from tests.support.waiting import eventually

SHORT_LEASE = {"DTQ_LEADER_LEASE": "2s"}


@pytest.fixture
def start(committed_db: None, redis_server: Any, processes: Processes) -> Callable[..., Process]:
    """Start a scheduler that takes over soon."""
    return lambda **variables: processes.manage("runscheduler", **SHORT_LEASE, **variables)


def now() -> datetime:
    from dtq_site.foundation.database import database_clock

    return database_clock.now()


def make_due(count: int, moment: datetime, step_seconds: float = 0.0, queue: str = "default") -> list[Any]:
    """Tasks that are due from a moment on, one after the other."""
    from tasks import lifecycle
    from tests.support.factories import new_task

    new, made = new_task(queue=queue), []
    due = [moment + timedelta(seconds=number * step_seconds) for number in range(count)]
    for begin in range(0, count, 1000):
        part = [replace(new, spec=replace(new.spec, scheduled_at=each)) for each in due[begin : begin + 1000]]
        made += lifecycle.create(part, now())
    assert {task.status for task in made} == {"PENDING"}, "they were due before they were there"
    return made


def late_seconds(tasks: list[Any]) -> list[float]:
    """How long after its moment each task has become ready; all of them have."""
    from tasks.models import Task

    rows = Task.objects.filter(pk__in=[task.pk for task in tasks]).values_list("scheduled_at", "queued_at")
    return [(queued_at - due).total_seconds() for due, queued_at in rows]


def all_ready(tasks: list[Any]) -> bool:
    from tasks.models import Task

    ready = 0
    for begin in range(0, len(tasks), 1000):
        part = [task.pk for task in tasks[begin : begin + 1000]]
        ready += Task.objects.filter(pk__in=part, status="QUEUED").count()
    return ready == len(tasks)


# --- promotion -----------------------------------------------------------------------------------------------------


def test_a_task_that_is_due_sooner_wakes_the_scheduler(start: Callable[..., Process]):
    start(DTQ_PROMOTER_PERIOD="60s").wait_for("leader.elected")
    make_due(1, now() + timedelta(seconds=50))
    time.sleep(2)  # by then it listens, and sleeps

    tasks = [make_due(1, now() + timedelta(seconds=0.5))[0] for _ in range(5)]

    eventually(lambda: all_ready(tasks), 5)
    assert min(late_seconds(tasks)) >= 0
    assert max(late_seconds(tasks)) < 0.25


@pytest.mark.long
@pytest.mark.skipif(RedisServer.program is None, reason="needs the Debian package redis-server")
@pytest.mark.parametrize(("fault", "latest_seconds"), [("stopped", 0.5), ("hangs", 1.5)])
def test_without_redis_tasks_become_ready_at_their_moments_all_the_same(
    start: Callable[..., Process], own_redis: RedisServer, fault: str, latest_seconds: float
):
    scheduler = start(REDIS_URL=own_redis.url)
    scheduler.wait_for("index.rebuilt")
    time.sleep(1)
    begin, end = {"stopped": (own_redis.stop, own_redis.start), "hangs": (own_redis.freeze, own_redis.thaw)}[fault]

    before = make_due(10, now() + timedelta(seconds=1), 0.3)
    begin()
    try:
        meanwhile = [make_due(1, now() + timedelta(seconds=0.3))[0] for _ in range(10)]
        eventually(lambda: all_ready([*before, *meanwhile]), 15)
    finally:
        end()
    time.sleep(2)
    afterwards = [make_due(1, now() + timedelta(seconds=0.3))[0] for _ in range(10)]
    eventually(lambda: all_ready(afterwards), 5)

    assert min(late_seconds([*before, *meanwhile, *afterwards])) >= 0
    assert max(late_seconds([*before, *meanwhile])) < latest_seconds
    assert max(late_seconds(afterwards)) < 0.5
    assert "service.failed" not in scheduler.output


@pytest.mark.long
@pytest.mark.timeout(240)
def test_leaders_that_are_killed_in_a_flood_promote_each_task_once(start: Callable[..., Process]):
    from tasks import metrics
    from tasks.models import Task

    entered = metrics.sums().get((metrics.ENTERED, "QUEUED"), 0)
    tasks = make_due(6_000, now() + timedelta(seconds=4))
    schedulers = [start() for _ in range(3)]
    for _ in range(2):
        before = Task.objects.filter(status="QUEUED").count()
        eventually(lambda before=before: Task.objects.filter(status="QUEUED").count() > before, 30, every_seconds=0.005)
        next(each for each in schedulers if each.running and "leader.elected" in each.output).kill()

    eventually(lambda: all_ready(tasks), 60)
    assert set(Task.objects.values_list("version", flat=True)) == {2}
    assert metrics.sums()[metrics.ENTERED, "QUEUED"] - entered == len(tasks)
    assert min(late_seconds(tasks[:1000])) >= 0


# --- retention -----------------------------------------------------------------------------------------------------


def make_old(count: int) -> None:
    """Tasks that completed forty days ago."""
    from tasks import lifecycle
    from tasks.models import Task
    from tests.support.factories import new_task

    then, new = now() - timedelta(days=40), new_task(queue="old")
    for begin in range(0, count, 1000):
        lifecycle.create([new] * min(1000, count - begin), then)
    ended = {"status": "COMPLETED", "completed_at": then, "updated_at": then}
    Task.objects.filter(queue="old").update(**ended)


def old_ones() -> int:
    from tasks.models import Task

    return Task.objects.filter(queue="old").count()


@pytest.mark.long
@pytest.mark.timeout(240)
def test_a_leader_that_is_killed_in_the_midst_of_retention_is_followed_by_one_that_goes_on(
    start: Callable[..., Process],
):
    make_old(10_000)
    (young,) = make_due(1, now() + timedelta(hours=1))
    schedulers = [start() for _ in range(2)]

    eventually(lambda: old_ones() < 10_000, 30, every_seconds=0.005)
    leader = next(each for each in schedulers if "leader.elected" in each.output)
    leader.kill()
    assert old_ones() > 0, "the kill came too late"

    eventually(lambda: not old_ones(), 60)
    assert type(young).objects.filter(pk=young.pk).exists()
    assert all("service.failed" not in each.output for each in schedulers)


@pytest.fixture
def on_own_server(own: dict[str, str], processes: Processes) -> Iterator[dict[str, str]]:  # noqa: F811
    """The variables of a database that may be stopped; it is left without tasks and records."""
    from scheduling.models import DutyRecord, LeaderLease
    from tasks.models import Task

    yield own
    processes.clear_away()
    for model in (Task, DutyRecord, LeaderLease):
        model.objects.all().delete()


@pytest.mark.long
@pytest.mark.timeout(240)
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_database_that_goes_away_in_the_midst_of_retention_is_no_failure_of_the_duty(
    start: Callable[..., Process],
    on_own_server: dict[str, str],
    server: Any,  # noqa: F811
    end: str,
):
    from scheduling.models import DutyRecord

    make_old(10_000)
    scheduler = start(**on_own_server)
    eventually(lambda: old_ones() < 10_000, 30, every_seconds=0.005)

    getattr(server, end)()
    time.sleep(1)
    restart(server)
    assert old_ones() > 0, "the outage came too late"

    eventually(lambda: not old_ones(), 60)
    eventually(lambda: DutyRecord.objects.get(name="task retention").succeeded_at)
    assert set(DutyRecord.objects.values_list("failures", flat=True)) == {0}
    assert "server.unreachable" in scheduler.output and "service.failed" not in scheduler.output


def checks() -> dict[str, str]:
    found = Client().get("/health").json()["checks"]
    return {name: check["status"] for name, check in found.items() if name.startswith(("scheduler", "duty"))}


@pytest.mark.long
@pytest.mark.timeout(240)
def test_a_duty_that_cannot_do_its_work_says_so_and_keeps_no_other_from_its_own(
    start: Callable[..., Process], request: pytest.FixtureRequest
):
    from django.db import connection

    if request.config.getoption("backing") != "mariadb":
        pytest.skip("on SQLite a lock on one row is one on all of them")
    make_old(10)
    holding = connection.copy()
    holding.set_autocommit(False)
    with holding.cursor() as cursor:
        cursor.execute("SELECT id FROM tasks_task WHERE queue = 'old' FOR UPDATE")
    scheduler = start()

    assert eventually(lambda: checks() == {"scheduler": "ok", "duty task retention": "failing"}, 60)
    tasks = make_due(5, now() + timedelta(seconds=0.5), 0.1)
    eventually(lambda: all_ready(tasks), 5)
    assert max(late_seconds(tasks)) < 0.5
    assert old_ones() == 10

    holding.rollback()
    holding.close()
    assert eventually(lambda: checks() == {"scheduler": "ok"}, 60)
    assert old_ones() == 0
    assert "service.failed" in scheduler.output


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_the_removal_of_very_many_tasks_holds_up_nobody_who_creates_some(
    start: Callable[..., Process], enqueue: Callable[..., Any]
):
    count, created, seconds = 100_000, 0, []
    make_old(count)
    scheduler = start()
    eventually(lambda: old_ones() < count, 30)

    while old_ones():
        for _ in range(50):
            began = time.monotonic()
            enqueue("job")
            seconds.append(time.monotonic() - began)
            created += 1
        time.sleep(0.2)

    from tasks.models import Task

    assert created > 500, "the removal was over too soon"
    assert Task.objects.exclude(queue="old").count() == created
    assert sorted(seconds)[int(created * 0.99)] < 0.25, f"p99 {sorted(seconds)[int(created * 0.99)]:.3f} s"
    assert max(seconds) < 3, "somebody waited for a lock"
    assert "service.failed" not in scheduler.output


# --- once ----------------------------------------------------------------------------------------------------------


def test_once_ends_by_itself_with_all_done(start: Callable[..., Process], processes: Processes):
    make_old(1_200)
    tasks = make_due(3, now() + timedelta(seconds=0.2))
    time.sleep(0.3)

    once = processes.manage("runscheduler", "--once")

    assert once.wait(60) == 0
    assert (old_ones(), all_ready(tasks)) == (0, True)
    assert checks() == {"scheduler": "ok"}


@pytest.mark.timeout(240)
def test_once_without_a_database_says_that_it_failed(
    on_own_server: dict[str, str],
    server: Any,  # noqa: F811
    processes: Processes,
):
    server.stop()

    once = processes.manage("runscheduler", "--once", **on_own_server)
    code = once.wait(60)
    restart(server)

    assert code == 1
    assert once.output.count("duty.failed") > 10
