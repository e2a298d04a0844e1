"""Claims by hints or by rows: in one order, for whom they are, and with all that a worker needs."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from tasks import lifecycle, queues
from tasks.domain.states import TaskStatus
from tasks.models import Task
from tests.integration.workers.claims import CLOCK, caller, claim, whole
from tests.support.factories import (
    LEASE,
    OTHER_WORKER,
    START,
    after,
    bare_row,
    create,
    forget_what_processes_remember,
    hint_of,
    make_team,
    new_task,
    reread,
)
from workers import gateway
from workers.gateway import Caller
from workers.open_queues import open_queues


def in_three_priorities() -> list[Task]:
    """Tasks in the order in which they have to run."""
    low = [create(after(n), priority=1) for n in range(2)]
    high = [create(after(n), priority=20) for n in range(3, 5)]
    normal = [create(after(n), priority=5) for n in range(5, 7)]
    return [*high, *normal, *low]


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


# --- queues --------------------------------------------------------------------------------------------------------


def test_the_default_queue_is_there_before_its_first_task():
    assert open_queues(frozenset()) == {"default": 1}
    assert open_queues({"mail"}) == {"mail": 1}


def test_paused_queues_are_not_open():
    queues.ensure(["a", "b"], START)
    queues.pause("a")

    assert sorted(open_queues(frozenset())) == ["b", "default"]
    assert open_queues({"a"}) == {}


def test_hints_of_another_worker_s_hand_over_are_not_taken():
    index = whole()
    task = create()

    assert index.take("default", {"job"}, 1) == [hint_of(task)]
    assert claim(1, Caller(OTHER_WORKER, frozenset({"job"}))) == []
