"""The duties, each round as of a moment that the test names."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError

from dtq_site.foundation.observer import Observer, Recorder
from scheduling import schedules
from scheduling.duties.cron_firing import CronFiring
from scheduling.duties.janitor import Janitor
from scheduling.duties.lock_keeper import LockKeeper
from scheduling.duties.promoter import Promoter
from scheduling.duties.reaper import Reaper
from scheduling.duties.reconciler import Reconciler
from scheduling.models import Schedule
from scheduling.runtime.duty import LOOK_SECONDS, Duty
from scheduling.runtime.reachability import Reachability
from tasks import lifecycle, queues
from tasks.domain.states import TaskStatus
from tasks.models import Task
from tasks.queue import keys, rebuild
from tasks.queue.dispatch import redis_index
from tasks.queue.index import IndexLost
from tasks.queue.redis_index import RedisIndex
from tasks.recurrence import Recurrence
from tests.support.factories import (
    START,
    ManualClock,
    after,
    bare_row,
    claim,
    claimed,
    create,
    hint_of,
    in_state,
    make_team,
    reread,
    row,
    task_spec,
)
from workers import presence
from workers.domain.card import WorkerCard
from workers.models import Worker


class Leading:
    """A leader since START, or none."""

    def __init__(self, leads: bool = True, up_since: datetime | None = START) -> None:
        self.leads, self.up_since = leads, up_since
        self.heard = Recorder()
        self.database = Reachability(Observer(self.heard))


def make(kind: type[Duty], leader: Any = None, now: datetime = START) -> tuple[Any, Recorder]:
    heard = Recorder()
    return kind(Observer(heard), ManualClock(now), leader or Leading()), heard


@pytest.mark.parametrize("kind", [Promoter, CronFiring, Reaper, LockKeeper, Reconciler, Janitor])
def test_a_duty_rests_while_another_process_leads(kind, monkeypatch):
    monkeypatch.setattr(kind, "perform", lambda *_: pytest.fail("it was performed"))
    duty, heard = make(kind, Leading(leads=False))

    assert duty.run_once() == LOOK_SECONDS
    assert heard.events == []


def test_an_outage_of_the_database_is_told_once_by_all_duties_together_and_so_is_its_end(monkeypatch):
    leader = Leading()
    duties = [make(kind, leader) for kind in (Promoter, Reaper, Janitor)]

    def away(*_: Any) -> float:
        raise OperationalError(2002, "no connection")

    with monkeypatch.context() as outage:
        for duty, _ in duties:
            outage.setattr(type(duty), "perform", away)
        assert [duty.run_once() for duty, _ in duties * 2] == [1.0] * 6
    assert [event.name for event in leader.heard.events] == ["server.unreachable"]
    assert leader.heard.events[0].facts == {
        "error": "(2002, 'no connection')",
        "again_in_seconds": 1.0,
    }

    for duty, _ in duties * 2:
        duty.run_once()
    assert [event.name for event in leader.heard.events] == ["server.unreachable", "server.reachable"]
    assert [event for _, heard in duties for event in heard.events] == []


def test_another_error_of_the_database_is_a_defect_and_shows(monkeypatch):
    def broken(*_: Any) -> float:
        raise OperationalError(1054, "Unknown column")

    monkeypatch.setattr(Promoter, "perform", broken)
    leader = Leading()

    with pytest.raises(OperationalError):
        make(Promoter, leader)[0].run_once()
    assert leader.heard.events == []


# --- promoter ------------------------------------------------------------------------------------------------------


def test_the_promoter_sleeps_until_the_next_task_is_due_but_never_long():
    duty, _ = make(Promoter)
    assert duty.perform(START) == pytest.approx(0.1)
    task = create(scheduled_at=after(1))

    assert duty.perform(after(0.5)) == pytest.approx(0.1)
    assert duty.perform(after(0.97)) == pytest.approx(0.03)
    assert reread(task).status == TaskStatus.PENDING
    assert duty.perform(after(1)) == pytest.approx(0.1)
    assert reread(task).status == TaskStatus.QUEUED


def test_it_goes_on_at_once_while_there_is_more(monkeypatch):
    monkeypatch.setattr("scheduling.duties.promoter.BATCH", 2)
    for n in range(3):
        create(scheduled_at=after(n + 1))
    duty, _ = make(Promoter)

    assert duty.perform(after(60)) == 0
    assert duty.perform(after(60)) == pytest.approx(0.1)
    assert Task.objects.filter(status=TaskStatus.QUEUED).count() == 3


def test_it_does_not_spin_on_a_task_that_waits_for_its_cancelled_attempt():
    task = claimed()
    lifecycle.cancel(task.pk, after(1))
    lifecycle.retry(task.pk, after(2))

    assert make(Promoter)[0].perform(after(3)) == pytest.approx(0.1)


# --- reaper --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("up_since", [None, after(86), after(100)])
def test_the_reaper_waits_one_lease_after_leaders_began_to_renew(up_since):
    task = claimed()
    duty, heard = make(Reaper, Leading(up_since=up_since))

    duty.perform(after(100))

    assert reread(task).status == TaskStatus.PROCESSING
    assert heard.events == []


def test_then_it_takes_back_what_nobody_renews():
    lost, held = claimed(begun=True), claimed(after(99))
    duty, heard = make(Reaper, Leading(up_since=after(85)))

    assert duty.perform(after(100)) == 1.0

    assert (reread(lost).status, reread(held).status) == (TaskStatus.QUEUED, TaskStatus.PROCESSING)
    (told,) = heard.named("lease.reaped")
    assert told.facts == {"task": str(lost.pk), "name": "job", "now": "QUEUED", "losses": 1}


# --- cron firing ---------------------------------------------------------------------------------------------------


def schedule(expression: str = "* * * * *") -> Schedule:
    task = schedules.create_recurring(task_spec(), Recurrence(expression, "UTC"), make_team().pk, None, START)
    return Schedule.objects.get(pk=task.schedule_id)


def test_cron_firing_sleeps_until_the_slot_and_fires_it():
    made = schedule()
    duty, heard = make(CronFiring)

    assert duty.perform(after(59)) == pytest.approx(0.2)
    assert duty.perform(after(59.95)) == pytest.approx(0.05)
    assert heard.events == []
    assert duty.perform(after(60)) == pytest.approx(0.2)

    assert [event.facts for event in heard.named("schedule.fired")] == [{"schedule": str(made.pk), "tasks": 1}]
    assert Task.objects.get(pk=made.coming_task_id).status == TaskStatus.QUEUED


def test_a_schedule_that_cannot_be_fired_holds_up_no_other():
    bad, good = schedule(), schedule()
    Schedule.objects.filter(pk=bad.pk).update(timezone="Gone/Away", next_due=after(30))
    duty, heard = make(CronFiring)

    duty.perform(after(60))
    assert duty.perform(after(61)) == pytest.approx(0.2)

    assert [event.facts["schedule"] for event in heard.named("schedule.fired")] == [str(good.pk)]
    (told,) = heard.named("schedule.failed")
    assert told.facts["schedule"] == str(bad.pk) and "Gone/Away" in told.facts["error"]
    assert Task.objects.get(pk=bad.coming_task_id).status == TaskStatus.PENDING


def test_whatever_a_firing_raises_it_holds_up_no_other_and_is_tried_again_after_a_rest(monkeypatch):
    bad, good = schedule(), schedule()
    Schedule.objects.filter(pk=bad.pk).update(next_due=after(30))
    duty, heard = make(CronFiring)
    fire, tried = schedules.fire, []

    def failing_once(schedule_id: Any, now: datetime) -> bool:
        tried.append((schedule_id, now))
        if [each for each, _ in tried].count(bad.pk) == 1 and schedule_id == bad.pk:
            raise ZeroDivisionError("a defect")
        return fire(schedule_id, now)

    monkeypatch.setattr(schedules, "fire", failing_once)

    for seconds in (60, 60.2, 119.9, 120):
        assert duty.perform(after(seconds)) <= 0.2

    assert tried == [(bad.pk, after(60)), (good.pk, after(60)), (bad.pk, after(120)), (good.pk, after(120))]
    assert [event.facts for event in heard.named("schedule.failed")] == [
        {"schedule": str(bad.pk), "error": "ZeroDivisionError('a defect')"}
    ]
    assert len(heard.named("schedule.fired")) == 3


def test_one_that_lost_a_lock_is_tried_again_soon(monkeypatch):
    made = schedule()
    duty, heard = make(CronFiring)

    def busy(*_: Any) -> bool:
        raise OperationalError(1213, "Deadlock found")

    with monkeypatch.context() as conflict:
        conflict.setattr(schedules, "fire", busy)
        duty.perform(after(60))
    duty.perform(after(61))

    assert [event.name for event in heard.events] == ["schedule.failed", "schedule.fired"]
    assert heard.events[1].facts == {"schedule": str(made.pk), "tasks": 1}


def test_however_many_cannot_be_fired_the_others_behind_them_are():
    bad = [schedule() for _ in range(101)]
    Schedule.objects.filter(pk__in=[each.pk for each in bad]).update(timezone="Gone/Away", next_due=after(30))
    good = schedule()
    duty, heard = make(CronFiring)

    assert duty.perform(after(60)) == pytest.approx(0.2)

    assert [event.facts for event in heard.named("schedule.fired")] == [{"schedule": str(good.pk), "tasks": 1}]
    assert len(heard.named("schedule.failed")) == 101


def test_a_slot_that_another_scheduler_has_fired_meanwhile_is_passed_over_once(monkeypatch):
    schedule()
    duty, heard = make(CronFiring)
    tried = []
    monkeypatch.setattr(schedules, "fire", lambda *args: tried.append(args))

    assert duty.perform(after(60)) == pytest.approx(0.2)

    assert len(tried) == 1
    assert heard.events == []


def test_an_outage_of_the_database_is_no_schedule_s_failure(monkeypatch):
    schedule()
    leader = Leading()
    duty, heard = make(CronFiring, leader, after(60))

    def away(*_: Any) -> bool:
        raise OperationalError(2013, "Lost connection")

    with monkeypatch.context() as outage:
        outage.setattr(schedules, "fire", away)
        assert duty.run_once() == 1.0
    assert [event.name for event in leader.heard.events] == ["server.unreachable"]

    duty.run_once()
    assert [event.name for event in heard.events] == ["schedule.fired"]


# --- janitor -------------------------------------------------------------------------------------------------------


def test_the_janitor_keeps_what_is_young_and_what_has_not_ended(settings):
    settings.DTQ_SCHEDULING = replace(
        settings.DTQ_SCHEDULING, completed_retention=timedelta(days=1), failed_retention=timedelta(days=3)
    )
    day = 86_400
    by_age = {age: [in_state(status, after(-age * day)) for status in TaskStatus] for age in (0.9, 2, 4)}
    duty, heard = make(Janitor)

    assert duty.perform(START) == 600.0

    alive = {TaskStatus.PENDING, TaskStatus.QUEUED, TaskStatus.PROCESSING}
    kept_failed = alive | {TaskStatus.FAILED, TaskStatus.DEAD_LETTER}
    left = {age: {task.status for task in tasks if Task.objects.filter(pk=task.pk)} for age, tasks in by_age.items()}
    assert left == {0.9: set(TaskStatus), 2: kept_failed, 4: alive}
    assert heard.named("tasks.removed")[0].facts == {"completed": 4, "failed": 2}


def test_it_goes_on_soon_while_there_is_more(monkeypatch):
    monkeypatch.setattr("scheduling.duties.janitor.CHUNK", 2)
    for _ in range(3):
        in_state(TaskStatus.COMPLETED)
    duty, heard = make(Janitor)
    far = after(86_400 * 365)

    assert [duty.perform(far), duty.perform(far), duty.perform(far)] == [0.05, 600.0, 600.0]
    assert Task.objects.count() == 0
    assert len(heard.events) == 2


def test_it_forgets_workers_that_were_silent_for_a_day():
    for seconds in (0, 3600):
        presence.sign_on(WorkerCard(uuid4(), "w", "h", 1, (), {}, 1, "direct", "0"), after(seconds))

    make(Janitor)[0].perform(after(86_400 + 1))

    assert [worker.last_heartbeat for worker in Worker.objects.all()] == [after(3600)]


# --- reconciler ----------------------------------------------------------------------------------------------------


def test_the_reconciler_rebuilds_an_index_that_was_never_there_and_repairs_what_is_missing():
    first = create()
    duty, heard = make(Reconciler)

    assert duty.perform(START) == 1.0
    second = bare_row(after(1))
    duty.perform(after(1))
    duty.perform(after(2))

    rebuilt = [event.facts["queue"] for event in heard.named("index.rebuilt")]
    assert sorted(rebuilt) == sorted({"default", *rebuilt}) and "default" in rebuilt
    assert [event.facts for event in heard.named("index.repaired")] == [
        {"queue": "default", "added": 1, "removed": 0, "reranked": 0}
    ]
    assert redis_index().take("default", {"job"}, 9) == [hint_of(first), hint_of(second)]


def test_it_rebuilds_after_a_flush(redis_server):
    tasks = [create(after(n), queue=queue) for n, queue in enumerate(["default", "mail", "default"])]
    duty, heard = make(Reconciler)
    duty.perform(START)

    redis_server.flushall()
    with pytest.raises(IndexLost):
        redis_index().take("mail", {"job"}, 9)
    duty.perform(after(1))

    assert redis_index().take("mail", {"job"}, 9) == [hint_of(tasks[1])]
    assert redis_index().take("default", {"job"}, 9) == [hint_of(tasks[0]), hint_of(tasks[2])]
    assert len([event for event in heard.named("index.rebuilt") if event.facts["queue"] == "mail"]) == 2


def test_it_rebuilds_when_redis_was_restarted_with_old_data(redis_server):
    duty, heard = make(Reconciler)
    queues.ensure(["default"], START)
    lost = bare_row()
    redis_server.set(keys.whole("default"), f"whole:{'0' * 40}")

    duty.perform(START)

    assert redis_index().take("default", {"job"}, 9) == [hint_of(lost)]
    assert redis_server.get(keys.whole("default")) == f"whole:{redis_server.info('server')['run_id']}"
    assert "default" in {event.facts["queue"] for event in heard.named("index.rebuilt")}


def test_without_redis_it_rests(settings):
    create()
    settings.REDIS_URL, settings.REDIS_IS_EMBEDDED = "redis://127.0.0.1:1/0", False
    redis_index.cache_clear()
    duty, heard = make(Reconciler)

    assert duty.perform(START) == 1.0
    assert heard.events == []


def test_after_redis_was_away_its_index_is_not_trusted_however_whole_it_calls_itself(monkeypatch, redis_server):
    duty, heard = make(Reconciler)
    duty.perform(START)
    rebuilt = len(heard.named("index.rebuilt"))

    def away(*_: Any) -> Any:
        raise IndexLost("Redis is away")

    with monkeypatch.context() as outage:
        outage.setattr(RedisIndex, "is_whole", away)
        assert duty.perform(after(1)) == 1.0
    missed = bare_row(after(1))
    assert redis_server.get(keys.whole("default")).startswith("whole:")
    duty.perform(after(2))
    duty.perform(after(3))

    assert len(heard.named("index.rebuilt")) == 2 * rebuilt
    assert redis_index().take("default", {"job"}, 9) == [hint_of(missed)]


def test_when_the_ageing_of_a_queue_changes_its_waiting_tasks_change_places():
    old, new = create(priority=1), create(after(30), priority=2)
    elsewhere = create(queue="mail", priority=1)
    duty, heard = make(Reconciler)
    duty.perform(START)
    before = row(elsewhere)

    queues.configure("default", {"ageing_seconds": 20})
    duty.perform(after(60))
    duty.perform(after(61))
    assert redis_index().take("default", {"job"}, 9) == [hint_of(reread(old)), hint_of(reread(new))]
    assert [event.facts["reranked"] for event in heard.named("index.repaired")] == [2]
    assert row(elsewhere) == before

    redis_index().add([hint_of(reread(old)), hint_of(reread(new))])
    queues.configure("default", {"ageing_seconds": None})
    duty.perform(after(62))
    duty.perform(after(63))
    assert (reread(old).rank, reread(new).rank) == (old.rank, new.rank)
    redis_index().drop([hint_of(old), hint_of(new)])


def test_it_goes_on_at_once_while_there_is_more_to_repair_than_one_sweep_can(monkeypatch):
    monkeypatch.setattr(rebuild, "PAGE", 2)
    monkeypatch.setattr(rebuild, "REPAIR_SECONDS", 0.0)
    duty, _ = make(Reconciler)
    duty.perform(START)
    for n in range(7):
        bare_row(after(n))

    assert [duty.perform(after(60 + n)) for n in range(4)] == [0.0, 0.0, 1.0, 1.0]
    assert redis_index().depth("default") == 7


@pytest.mark.parametrize(("policy", "told"), [("noeviction", 0), ("allkeys-lru", 1)])
def test_a_redis_that_may_forget_keys_is_warned_of_once(monkeypatch, policy, told):
    monkeypatch.setattr(RedisIndex, "eviction_policy", lambda _: policy)
    duty, heard = make(Reconciler)

    duty.perform(START)
    duty.perform(after(1))

    remedy = "set maxmemory-policy to noeviction"
    assert [event.facts for event in heard.named("redis.may_evict")] == [{"policy": policy, "remedy": remedy}] * told


def test_the_policy_is_what_redis_says(redis_server):
    assert redis_index().eviction_policy() == redis_server.info("memory")["maxmemory_policy"] == "noeviction"


def test_what_workers_hold_is_not_added(redis_server):
    task = create()
    duty, heard = make(Reconciler)
    duty.perform(START)
    redis_index().take("default", {"job"}, 1)
    claim([task])
    redis_index().confirm([hint_of(task)])

    duty.perform(after(1))

    assert heard.named("index.repaired") == []
    assert redis_index().depth("default") == 0
