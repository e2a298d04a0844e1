"""The workers' door: hints or rows, in one order, and no report holds up another."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError

from dtq_site.foundation.clock import elapsed_clock
from tasks import lifecycle, queues
from tasks.domain.states import TaskStatus
from tasks.models import Task
from tasks.queue.database_index import DatabaseIndex
from tasks.queue.dispatch import redis_index
from tasks.queue.index import Hint
from tasks.queue.rebuild import Reconciliation
from tasks.queue.redis_index import RedisIndex
from tests.support.factories import (
    LEASE,
    OTHER_WORKER,
    START,
    WORKER,
    ManualClock,
    after,
    bare_row,
    create,
    forget_what_processes_remember,
    hint_of,
    make_team,
    new_task,
    reread,
)
from tests.support.servers import RedisServer
from tests.support.waiting import eventually
from workers import claiming, gateway
from workers.gateway import Caller

CLOCK = ManualClock(after(60))


def caller(*names: str, queues: Collection[str] = (), team_id: uuid.UUID | None = None) -> Caller:
    return Caller(WORKER, frozenset(names or {"job"}), frozenset(queues), team_id)


def claim(limit: int, who: Caller | None = None, **options: Any) -> list[Task]:
    leased = gateway.claim(who or caller(), uuid.uuid4(), limit, LEASE, clock=CLOCK, **options)
    return [Task.objects.get(pk=each.lease.task_id) for each in leased]


def whole(*names: str) -> RedisIndex:
    """The index, whole for these queues, `default` if none is named."""
    index = redis_index()
    for name in names or ("default",):
        queues.ensure([name], START)
        Reconciliation(index, name).ensure_whole()
    return index


def in_three_priorities() -> list[Task]:
    """Tasks in the order in which they have to run."""
    low = [create(after(n), priority=1) for n in range(2)]
    high = [create(after(n), priority=20) for n in range(3, 5)]
    normal = [create(after(n), priority=5) for n in range(5, 7)]
    return [*high, *normal, *low]


# --- order ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index_is_whole", [True, False], ids=["whole", "lost"])
def test_tasks_are_claimed_in_order_whether_the_index_is_whole_or_lost(index_is_whole):
    if index_is_whole:
        whole()
    expected = in_three_priorities()

    assert [*claim(1), *claim(3), *claim(10)] == expected


def test_asked_to_look_at_the_rows_it_finds_what_the_index_lacks():
    whole()
    lacking = bare_row()

    assert claim(5) == []
    assert claim(5, from_database=True) == [lacking]


def test_a_task_is_leased_with_all_that_its_worker_needs():
    whole()
    team = make_team()
    task = create(team=team, payload={"a": 1}, timeout_seconds=5.0, max_retries=0)
    claim_id = uuid.uuid4()

    (leased,) = gateway.claim(caller(), claim_id, 1, timedelta(seconds=9), clock=CLOCK)

    assert (leased.lease.task_id, leased.lease.fencing_token, leased.lease.claim_id) == (task.pk, 1, claim_id)
    assert (leased.name, leased.payload, leased.attempt, leased.team_id) == ("job", {"a": 1}, 1, team.pk)
    assert (leased.timeout_seconds, leased.lease_seconds, leased.begin_first) == (5.0, 9.0, True)


def test_the_start_is_noted_first_where_a_loss_must_count():
    whole()
    plain, lost_before = create(), create()
    Task.objects.filter(pk=lost_before.pk).update(lost_leases=1)

    leased = gateway.claim(caller(), uuid.uuid4(), 2, LEASE, clock=CLOCK)

    assert {each.lease.task_id: each.begin_first for each in leased} == {plain.pk: False, lost_before.pk: True}


def test_a_caller_of_a_team_gets_that_team_s_tasks_only():
    whole()
    mine, theirs = make_team("mine"), make_team("theirs")
    create(team=theirs, priority=100)
    own = create(team=mine)

    for _ in range(2):
        assert claim(1, caller(team_id=mine.pk)) in ([own], [])
    assert reread(own).status == TaskStatus.PROCESSING
    assert Task.objects.get(team=theirs).status == TaskStatus.QUEUED


def test_only_the_caller_s_queues_are_asked():
    whole("default", "mail", "images")
    there, here = create(queue="mail"), create(queue="images")

    assert claim(5, caller(queues={"images"})) == [here]
    assert claim(5) == [there]


def test_the_limit_holds_over_several_queues():
    whole("a", "b", "c")
    lifecycle.create([new_task(queue=queue) for queue in "abc" for _ in range(2)], START)
    forget_what_processes_remember()

    assert len(claim(4)) == 4
    assert Task.objects.filter(status=TaskStatus.PROCESSING).count() == 4


# --- stale hints ---------------------------------------------------------------------------------------------------


def test_stale_hints_are_drained_without_claiming_beyond_the_limit(monkeypatch):
    index = whole()
    stale = [create(after(n), priority=20) for n in range(20)]
    ready = [create(after(n)) for n in range(10)]
    Task.objects.filter(pk__in=[task.pk for task in stale]).update(status=TaskStatus.CANCELLED)
    asked = []
    take = RedisIndex.take
    monkeypatch.setattr(RedisIndex, "take", lambda *args, **kwargs: asked.append(args[3]) or take(*args, **kwargs))

    assert claim(2) == ready[:2]

    assert asked == [2, 4, 8, 16]
    assert index.depth("default") == 8
    assert claim(10) == ready[2:]
    assert index.depth("default") == 0


def test_a_stale_hint_among_good_ones_is_forgotten():
    index = whole()
    gone, good = create(), create(after(1))
    Task.objects.filter(pk=gone.pk).update(status=TaskStatus.CANCELLED)

    assert claim(2) == [good]
    assert index.depth("default") == 0


def test_an_entry_in_the_wrong_lane_is_forgotten_and_blocks_nobody():
    index = whole()
    moved, good = create(), create(after(1), name="other")
    index.drop([hint_of(moved)])
    index.add([replace(hint_of(moved), name="other")])

    assert claim(1, caller("other")) == [good]
    assert index.depth("default") == 0


def test_a_queue_that_was_paused_a_moment_ago_keeps_its_entries(monkeypatch):
    index = whole()
    tasks = [create(after(n)) for n in range(7)]
    claiming.open_queues(caller())
    queues.pause("default")
    takes = []
    take = RedisIndex.take
    monkeypatch.setattr(RedisIndex, "take", lambda *args, **kwargs: takes.append(args[3]) or take(*args, **kwargs))

    assert claim(2) == []

    assert takes == [2]
    assert index.depth("default") == 7
    assert claiming.open_queues(caller()) == {}
    queues.resume("default")
    forget_what_processes_remember()
    assert claim(10) == tasks


def test_what_rows_gave_is_forgotten_by_the_index():
    index = whole()
    task = create()

    assert claim(1, from_database=True) == [task]
    assert index.depth("default") == 0


def test_a_lost_index_is_survived_when_redis_is_away(settings):
    create()
    settings.REDIS_URL, settings.REDIS_IS_EMBEDDED = "redis://127.0.0.1:1/0", False
    redis_index.cache_clear()

    assert len(claim(5)) == 1
    gateway.wait(caller(), 0.01)


def test_while_redis_hangs_work_goes_on_from_the_rows(settings, tmp_path):
    if RedisServer.program is None:
        pytest.skip("this needs the Debian package redis-server")
    server = RedisServer(tmp_path / "redis")
    server.start()
    settings.REDIS_URL, settings.REDIS_IS_EMBEDDED = server.url, False
    redis_index.cache_clear()
    whole()
    tasks = [create(after(n)) for n in range(4)]
    server.freeze()
    begun = elapsed_clock()

    for task in tasks:
        assert claim(1) == [task]
    gateway.wait(caller(), 4)

    assert elapsed_clock() - begun < 1.5
    server.thaw()
    server.stop()


# --- a database that fails halfway ---------------------------------------------------------------------------------


@pytest.mark.parametrize("from_database", [True, False])
def test_what_one_queue_gave_is_kept_when_the_next_one_fails(from_database, monkeypatch):
    whole("a", "b")
    lifecycle.create([new_task(queue=queue) for queue in "ab"], START)
    forget_what_processes_remember()
    lifecycle_claim, failing = lifecycle.claim, []

    def failing_after_one(*args: Any) -> list[Task]:
        if failing:
            raise OperationalError(2013, "Lost connection")
        failing.append(True)
        return lifecycle_claim(*args)

    with monkeypatch.context() as outage:
        outage.setattr(lifecycle, "claim", failing_after_one)
        (first,) = claim(2, caller(queues={"a", "b"}), from_database=from_database)
        with pytest.raises(OperationalError):
            claim(2, caller(queues={"a", "b"}), from_database=True)

    (second,) = claim(2, from_database=True)
    assert {first.queue, second.queue} == {"a", "b"}


def test_what_is_won_is_kept_when_the_stale_hints_beside_it_cannot_be_judged(monkeypatch):
    index = whole()
    good, gone = create(), create(after(1))
    Task.objects.filter(pk=gone.pk).update(status=TaskStatus.CANCELLED)

    def away(*_: Any) -> Any:
        raise OperationalError(2013, "Lost connection")

    with monkeypatch.context() as outage:
        outage.setattr(claiming, "_still_ready", away)
        assert claim(2) == [good]
    assert index.depth("default") == 2  # handed over and not confirmed: both come back as stale hints

    Task.objects.filter(pk=good.pk).update(status=TaskStatus.COMPLETED)
    eventually(lambda: claim(2) == [] and index.depth("default") == 0, 5)


def test_what_the_index_is_told_of_a_claim_can_wait_until_the_task_has_started():
    index = whole()
    task = create()
    index.add([hint_of(task)])
    later: list[Callable[[], None]] = []

    assert claim(1, later=later.append) == [task]
    assert index.depth("default") == 1

    for call in later:
        call()
    assert index.depth("default") == 0


# --- shares of queues ----------------------------------------------------------------------------------------------


def fill(**counts: int) -> None:
    """So many ready tasks in each queue, in an index that is whole."""
    whole(*counts)
    lifecycle.create([new_task(queue=queue) for queue, count in counts.items() for _ in range(count)], START)
    forget_what_processes_remember()


def by_queue(tasks: list[Task]) -> Counter[str]:
    return Counter(task.queue for task in tasks)


@pytest.mark.parametrize("from_database", [True, False])
def test_a_claim_takes_from_each_queue_in_proportion_to_its_weight(from_database):
    fill(a=40, b=40, c=40)
    queues.configure("c", {"weight": 8})

    won = claim(20, caller(queues={"a", "b", "c"}), from_database=from_database)
    assert by_queue(won) == {"a": 2, "b": 2, "c": 16}


def test_what_one_queue_lacks_of_its_share_the_others_give_in_proportion():
    fill(a=0, b=40, c=40)
    queues.configure("b", {"weight": 3})

    assert by_queue(claim(20, caller(queues={"a", "b", "c"}))) == {"b": 15, "c": 5}
    assert by_queue(claim(100)) == {"b": 25, "c": 35}


def test_single_claims_are_proportional_in_the_long_run(monkeypatch):
    fill(a=100, b=100)
    queues.configure("b", {"weight": 3})
    monkeypatch.setattr(claiming, "jitter", random.Random(11).random)
    monkeypatch.setattr(claiming, "shuffled", list)

    won = sum((by_queue(claim(1)) for _ in range(80)), Counter())

    assert won.total() == 80
    assert 52 <= won["b"] <= 68  # of 60, within two standard deviations


def test_a_queue_is_asked_once_if_it_is_empty_and_a_single_one_once_for_all(monkeypatch):
    fill(a=0, b=0, c=9)
    asked = []
    take = RedisIndex.take
    monkeypatch.setattr(RedisIndex, "take", lambda *args, **kwargs: asked.append(args[1]) or take(*args, **kwargs))

    assert len(claim(3, caller(queues={"c"}))) == 3
    assert asked == ["c"]
    assert len(claim(6, caller(queues={"a", "b", "c"}))) == 6
    assert sorted(asked[1:]) == ["a", "b", "c", "c"]
    assert claim(6, caller(queues={"a", "b", "c"})) == []
    assert sorted(asked[5:]) == ["a", "b", "c"]


# --- repeated requests ---------------------------------------------------------------------------------------------


def test_a_repeated_request_is_answered_with_what_it_won_and_the_rest_of_its_leases():
    fill(default=3)
    claim_id = uuid.uuid4()
    first = gateway.claim(caller(), claim_id, 2, LEASE, clock=CLOCK)
    later = ManualClock(after(65))

    again = gateway.claim(caller(), claim_id, 2, LEASE, repeated=True, clock=later)

    assert [each.lease for each in again] == [each.lease for each in first]
    assert {each.lease_seconds for each in again} == {LEASE.total_seconds() - 5}
    assert Task.objects.filter(status=TaskStatus.PROCESSING).count() == 2


def test_one_that_won_nothing_before_claims_now_and_another_worker_s_claim_is_none_of_its_business():
    fill(default=4)
    claim_id = uuid.uuid4()
    other = Caller(OTHER_WORKER, frozenset({"job"}))
    (theirs,) = gateway.claim(other, claim_id, 1, LEASE, clock=CLOCK)

    mine = gateway.claim(caller(), claim_id, 2, LEASE, repeated=True, clock=CLOCK)

    assert len(mine) == 2
    assert theirs.lease not in [each.lease for each in mine]


# --- rows that everybody is shown ----------------------------------------------------------------------------------


def test_who_wins_none_of_the_rows_that_it_was_shown_looks_again(monkeypatch):
    gone, left = create(), create(after(1))
    take, shown = DatabaseIndex.take, []

    def overtaken(self: DatabaseIndex, *args: Any, **options: Any) -> list[Hint]:
        hints = take(self, *args, **options)
        if not shown:
            Task.objects.filter(pk=gone.pk).update(status=TaskStatus.PROCESSING)
        shown.append(hints)
        return hints

    monkeypatch.setattr(DatabaseIndex, "take", overtaken)

    assert claim(1, from_database=True) == [left]
    assert shown == [[hint_of(gone)], [hint_of(left)]]


def test_rows_of_a_queue_that_was_paused_a_moment_ago_are_not_asked_for_again(monkeypatch):
    task = create()
    claiming.open_queues(caller())
    queues.pause("default")
    take, asked = DatabaseIndex.take, []
    monkeypatch.setattr(DatabaseIndex, "take", lambda *args, **kwargs: asked.append(1) or take(*args, **kwargs))

    assert claim(1, from_database=True) == []

    assert asked == [1]
    assert reread(task).status == TaskStatus.QUEUED


# --- queues --------------------------------------------------------------------------------------------------------


def test_the_default_queue_is_there_before_its_first_task():
    assert claiming.open_queues(caller()) == {"default": 1}
    assert claiming.open_queues(caller(queues={"mail"})) == {"mail": 1}


def test_paused_queues_are_not_open():
    queues.ensure(["a", "b"], START)
    queues.pause("a")

    assert sorted(claiming.open_queues(caller())) == ["b", "default"]
    assert claiming.open_queues(caller(queues={"a"})) == {}


def test_hints_of_another_worker_s_hand_over_are_not_taken():
    index = whole()
    task = create()

    assert index.take("default", {"job"}, 1) == [hint_of(task)]
    assert claim(1, Caller(OTHER_WORKER, frozenset({"job"}))) == []
