"""Each slot of a schedule once, and none lost: schedulers killed, suspended, with clocks of their own, without a database."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError

from tests.e2e.test_outage import own, restart, server  # noqa: F401 - fixtures of a database that may be stopped
from tests.support.processes import Process, Processes
from tests.support.waiting import eventually

LEASE = {"DTQ_LEADER_LEASE": "2s"}
TAKEOVER_SECONDS = 10.0
AHEAD_BY_HALF_A_MINUTE = """
from datetime import UTC, datetime, timedelta
import time_machine
from django.core.management import execute_from_command_line

time_machine.travel(datetime.now(UTC) + timedelta(seconds=30), tick=True).start()
execute_from_command_line(["manage.py", "runscheduler"])
"""


class Cluster:
    """Schedulers that stand by for one another, and the schedules that they fire."""

    def __init__(self, start: Callable[..., Process]) -> None:
        self._start = start
        self.schedulers: list[Process] = []
        self.slots: list[datetime] = []

    def add(self) -> None:
        """Start one more scheduler."""
        self.schedulers.append(self._start("runscheduler"))

    @property
    def leader(self) -> Process:
        """The scheduler that leads, once one does."""
        return eventually(self._leader, TAKEOVER_SECONDS)

    def _leader(self) -> Process | None:
        from dtq_site.foundation.database import database_clock
        from scheduling.models import LeaderLease

        lease = LeaderLease.objects.filter(expires_at__gt=database_clock.now()).first()
        named = [each for each in self.schedulers if lease and str(lease.holder) in each.output and each.running]
        return named[0] if named else None

    def wait_for_another_than(self, leader: Process) -> None:
        """Wait until a scheduler other than that one leads."""
        eventually(lambda: self.leader is not leader, TAKEOVER_SECONDS)

    @staticmethod
    def suspend(leader: Process) -> None:
        """Stop it between two transactions: within one it would keep SQLite's one lock, and nobody could take over."""
        from scheduling.models import LeaderLease

        def stopped() -> bool:
            leader.signal(signal.SIGSTOP)
            try:
                LeaderLease.objects.filter(name="nobody").update(term=0)
            except OperationalError:
                leader.signal(signal.SIGCONT)
                return False
            return True

        eventually(stopped, 30)

    def schedule(self, count: int, slots: int, every_seconds: int) -> None:
        """Make schedules with that many slots each, the first in three seconds."""
        from accounts.registration import team_named
        from dtq_site.foundation.database import database_clock
        from scheduling import definition, schedules

        now, team_id = database_clock.now(), team_named("default").pk
        first = now.replace(microsecond=0) + timedelta(seconds=3)
        self.slots = [first + timedelta(seconds=every_seconds * number) for number in range(slots)]
        asked = {"name": "job", "interval_seconds": every_seconds, "starts_at": first, "ends_at": self.slots[-1]}
        for _ in range(count):
            schedules.create(definition.read(asked, team_id, now), team_id, None, now)

    def all_have_fired_once(self, count: int) -> bool:
        """Whether the tasks that are there are one for each slot of each schedule, released and not before its moment."""
        from tasks.models import Task

        tasks = Task.objects.exclude(status="PENDING").values_list("schedule_id", "scheduled_at", "queued_at")
        by_schedule: dict[Any, list[datetime]] = {}
        for schedule_id, slot, queued_at in tasks:
            by_schedule.setdefault(schedule_id, []).append(slot)
            assert queued_at >= slot
        for slots in by_schedule.values():
            assert len(slots) == len(set(slots)) and set(slots) <= set(self.slots)
        return len(by_schedule) == count and all(sorted(slots) == self.slots for slots in by_schedule.values())

    def wait_until_all_have_fired_once(self, count: int) -> None:
        """Wait for the last slot, and that nothing is left to come."""
        from tasks.models import Task

        eventually(lambda: self.all_have_fired_once(count), timeout_seconds=60 + len(self.slots), every_seconds=0.5)
        assert not Task.objects.filter(status="PENDING").exists()


@pytest.fixture
def cluster(committed_db: None, redis_server: Any, processes: Processes) -> Cluster:
    """No scheduler yet."""
    return Cluster(lambda command: processes.manage(command, **LEASE))


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("kills", "schedules", "slots", "every_seconds"),
    [(2, 5, 20, 1), pytest.param(10, 20, 25, 3, marks=pytest.mark.long)],
)
def test_leaders_that_are_killed_neither_lose_nor_repeat_a_slot(
    cluster: Cluster, kills: int, schedules: int, slots: int, every_seconds: int
) -> None:
    for _ in range(3):
        cluster.add()
    assert cluster.leader
    cluster.schedule(schedules, slots, every_seconds)
    takeovers = []

    for number in range(kills):
        time.sleep(2 + number / 7)  # at other moments of the second, in the midst of firing
        cluster.leader.kill()
        killed_at = time.monotonic()
        cluster.add()
        assert cluster.leader
        takeovers.append(time.monotonic() - killed_at)

    assert not cluster.all_have_fired_once(schedules), "the kills came too late"
    cluster.wait_until_all_have_fired_once(schedules)
    assert max(takeovers) < TAKEOVER_SECONDS


@pytest.mark.long
@pytest.mark.timeout(180)
def test_a_leader_that_was_suspended_past_its_lease_repeats_nothing(cluster: Cluster) -> None:
    cluster.add()
    assert cluster.leader
    cluster.add()
    cluster.schedule(5, 20, 1)

    for _ in range(2):
        time.sleep(2)
        suspended = cluster.leader
        cluster.suspend(suspended)
        cluster.wait_for_another_than(suspended)
        suspended.signal(signal.SIGCONT)

    cluster.wait_until_all_have_fired_once(5)


@pytest.mark.long
@pytest.mark.timeout(180)
def test_schedulers_whose_clocks_are_half_a_minute_apart_fire_neither_early_nor_twice(
    cluster: Cluster, processes: Processes
) -> None:
    ahead = processes.start([sys.executable, "-c", AHEAD_BY_HALF_A_MINUTE], **LEASE)
    ahead.wait_for("leader.elected")
    cluster.add()
    cluster.schedule(5, 15, 1)

    time.sleep(8)
    ahead.kill()
    assert cluster.leader is not ahead

    cluster.wait_until_all_have_fired_once(5)
    assert ahead.output.count("schedule.fired") > 5 and cluster.leader.output.count("schedule.fired") > 5


@pytest.fixture
def cluster_of_its_own(own: dict[str, str], redis_server: Any, processes: Processes) -> Iterator[Cluster]:  # noqa: F811
    """No scheduler yet, on a database that may be stopped; it is left without schedules and tasks."""
    from scheduling.models import Schedule
    from tasks.models import Task

    yield Cluster(lambda command: processes.manage(command, **LEASE, **own))
    processes.clear_away()
    Schedule.objects.all().delete()
    Task.objects.all().delete()


@pytest.mark.long
@pytest.mark.timeout(240)
def test_a_restart_of_the_database_neither_loses_nor_repeats_a_slot(
    cluster_of_its_own: Cluster,
    server: Any,  # noqa: F811
) -> None:
    cluster = cluster_of_its_own
    for _ in range(2):
        cluster.add()
    assert cluster.leader
    cluster.schedule(5, 25, 1)

    for end in (server.stop, server.kill):
        time.sleep(5)
        end()
        time.sleep(1)
        restart(server)

    cluster.wait_until_all_have_fired_once(5)
