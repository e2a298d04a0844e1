"""Submission: idempotency keys, all or none, defaults, and an answer that was lost."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError, connection, transaction

from dtq_site.foundation.connections import close_broken_connections
from dtq_site.foundation.errors import BadInput, Conflict
from tasks import lifecycle, submission, task
from tasks.domain.states import TaskStatus
from tasks.domain.submission import Request
from tasks.handling import registry
from tasks.handling.port import EnqueueRequest
from tasks.models import Queue, Task
from tasks.submission import Owner, submit, submit_one
from tests.support.factories import ManualClock, after, in_own_connection, make_team, make_user
from workers import presence
from workers.domain.card import WorkerCard

LOST = OperationalError(2013, "Lost connection to server during query")


class Undone(Exception):
    """Ends a transaction."""


def owner(team: str = "team") -> Owner:
    return Owner(make_team(team).pk, None)


def asked(name: str = "job", key: str | None = None, **fields: Any) -> Request:
    return Request(name=name, idempotency_key=key, **fields)


def test_tasks_are_answered_in_the_order_of_the_requests():
    user = make_user()

    tasks = submit(
        [asked(f"job-{n}", "k" if n == 2 else None) for n in range(4)], Owner(user.team_id, user.pk), ManualClock()
    )

    assert [each.name for each in tasks] == ["job-0", "job-1", "job-2", "job-3"]
    assert [each.pk for each in tasks] == list(Task.objects.order_by("id").values_list("pk", flat=True))
    assert {(each.team_id, each.user_id) for each in tasks} == {(user.team_id, user.pk)}


def test_one_bad_request_refuses_all_and_is_named_by_its_place():
    with pytest.raises(BadInput) as refusal:
        submit([asked(), asked(), asked(payload=[1])], owner())

    assert refusal.value.field == "inputs[2].payload"
    assert not Task.objects.exists()


def test_of_a_single_request_the_field_is_named_without_a_place():
    with pytest.raises(BadInput) as refusal:
        submit_one(asked(payload=[1]), owner())

    assert refusal.value.field == "payload"


def test_a_queue_whose_transaction_was_rolled_back_comes_to_be_with_its_next_task():
    ours = owner()
    with suppress(Undone), transaction.atomic():
        for _ in range(2):
            submit_one(asked(queue="new"), ours)
        raise Undone
    assert not Queue.objects.filter(name="new").exists()

    submit_one(asked(queue="new"), ours)

    assert Queue.objects.filter(name="new").exists()


def test_there_is_a_most_to_a_call():
    with pytest.raises(BadInput) as refusal:
        submit([asked()] * 1001, owner())

    assert refusal.value.field == "inputs"
    assert len(submit([asked()] * 1000, owner())) == 1000
    assert submit([], owner()) == []


# --- idempotency keys ----------------------------------------------------------------------------------------------


def test_a_key_used_before_is_answered_with_the_task_of_that_time():
    first = submit_one(asked(key="k", payload={"a": 1, "b": 2}), owner())
    lifecycle.cancel(first.pk, after(1))

    again = submit_one(asked(key="k", payload={"b": 2, "a": 1}, priority=20), owner())

    assert (again.pk, again.status, again.priority) == (first.pk, TaskStatus.CANCELLED, 5)
    assert Task.objects.count() == 1


@pytest.mark.parametrize("other", [{"name": "other"}, {"payload": {"a": 2}}, {"payload": {"a": 1.0}}, {"payload": {}}])
def test_with_another_name_or_payload_it_is_a_conflict(other):
    first = submit_one(asked(key="k", payload={"a": 1}), owner())

    with pytest.raises(Conflict) as refusal:
        submit_one(replace(asked(key="k", payload={"a": 1}), **other), owner())

    assert (refusal.value.field, refusal.value.details) == ("idempotencyKey", {"task": str(first.pk)})
    assert Task.objects.count() == 1


def test_a_conflict_refuses_the_whole_call():
    submit_one(asked(key="k", payload={"a": 1}), owner())

    with pytest.raises(Conflict):
        submit([asked("fresh"), asked(key="k", payload={"a": 2}), asked("fresh", "another")], owner())

    assert Task.objects.count() == 1


def test_a_key_may_stand_twice_in_one_call():
    first, other, again = submit([asked(key="k"), asked(), asked(key="k")], owner())

    assert first.pk == again.pk != other.pk
    assert Task.objects.count() == 2


def test_twice_in_one_call_for_different_tasks_is_a_conflict_and_makes_none():
    with pytest.raises(Conflict):
        submit([asked(key="k"), asked(key="k", payload={"a": 1})], owner())

    assert not Task.objects.exists()


def test_teams_have_their_own_keys():
    assert submit_one(asked(key="k"), owner("a")).pk != submit_one(asked(key="k"), owner("b")).pk


def test_of_simultaneous_requests_with_one_key_one_makes_the_task():
    mine, start = owner(), threading.Barrier(4)

    def request(n: int) -> Any:
        start.wait(10)
        return in_own_connection(lambda: [each.pk for each in submit([asked(), asked(key="k")], mine)])

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(request, range(4)))

    assert len({answer[1] for answer in answers}) == 1
    assert Task.objects.count() == 5


def test_in_the_caller_s_transaction_a_rollback_removes_them():
    with transaction.atomic():
        assert submit_one(asked(key="k"), owner()) == submit_one(asked(key="k"), owner())
        transaction.set_rollback(True)

    assert not Task.objects.exists()


# --- an answer that was lost ---------------------------------------------------------------------------------------


def losing(monkeypatch: pytest.MonkeyPatch, *, after_the_commit: bool) -> list[int]:
    """Let the first creation lose its connection, before or after it committed; returns the calls."""
    calls: list[int] = []
    create = lifecycle.create

    def lossy(*args: Any) -> list[Task]:
        calls.append(len(args[0]))
        if len(calls) > 1:
            return create(*args)
        if after_the_commit:
            create(*args)
        raise LOST

    monkeypatch.setattr(lifecycle, "create", lossy)
    return calls


@pytest.mark.parametrize("after_the_commit", [True, False])
def test_a_lost_answer_to_the_commit_yields_each_task_once(monkeypatch, after_the_commit):
    mine = owner()
    calls = losing(monkeypatch, after_the_commit=after_the_commit)

    tasks = submit([asked("a"), asked("b", "k"), asked("c")], mine)

    assert calls == [3, 3]
    assert [each.name for each in tasks] == ["a", "b", "c"]
    assert set(Task.objects.all()) == set(tasks) and Task.objects.count() == 3


def test_in_a_caller_s_transaction_a_lost_connection_is_the_caller_s(monkeypatch):
    mine = owner()
    calls = losing(monkeypatch, after_the_commit=False)

    with pytest.raises(OperationalError), transaction.atomic():
        submit_one(asked(), mine)

    assert calls == [1]


@pytest.mark.skipif("connection.vendor != 'mysql'")
def test_a_connection_that_is_killed_before_the_insert_yields_one_task():
    mine = owner()
    (first,) = submit([asked()], mine)
    with connection.cursor() as cursor:
        cursor.execute("SELECT CONNECTION_ID()")
        (mine_id,) = cursor.fetchone()

    def kill() -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"KILL CONNECTION {mine_id}")

    killer = threading.Thread(target=lambda: in_own_connection(kill))
    killer.start()
    killer.join(10)

    try:
        (second,) = submit([asked()], mine, ManualClock())
    finally:
        close_broken_connections()

    assert set(Task.objects.all()) == {first, second}


# --- defaults ------------------------------------------------------------------------------------------------------


def test_a_declaration_goes_before_an_announcement_and_that_before_the_settings(settings, monkeypatch):
    settings.DTQ_TASKS = replace(settings.DTQ_TASKS, retry_attempts=7, default_timeout=timedelta(seconds=70))
    announce({"remote": {"queue": "far", "max_retries": 2}, "local": {"queue": "wrong", "priority": 1}})

    monkeypatch.setattr(registry, "_handlers", dict(registry.registered()))
    task("local", queue="near", timeout=9)(lambda: None)

    near, far, unknown = submit([asked("local"), asked("remote"), asked("unknown")], owner())

    assert values(near) == ("near", 5, 7, 9)
    assert values(far) == ("far", 5, 2, 70)
    assert values(unknown) == ("default", 5, 7, 70)


def test_the_newest_announcement_counts_and_the_request_goes_before_it():
    announce({"remote": {"queue": "old", "priority": 1}})
    announce({"remote": {"queue": "new"}}, seconds=10)

    silent, outspoken = submit([asked("remote"), asked("remote", queue="mine")], owner())

    assert (silent.queue, silent.priority, outspoken.queue) == ("new", 5, "mine")


def announce(handlers: dict[str, dict[str, Any]], seconds: float = 0) -> None:
    presence.sign_on(WorkerCard(uuid4(), "w", "host", 1, (), handlers, 1, "direct", "0"), after(seconds))


def values(made: Task) -> tuple[Any, ...]:
    return (made.queue, made.priority, made.max_retries, made.timeout_seconds)


def test_from_code_tasks_belong_to_the_default_team():
    (made,) = submission.submit_from_code([EnqueueRequest(name="job", payload={"a": 1})])

    assert (made.team.name, made.payload, made.user_id) == ("default", {"a": 1}, None)


@pytest.mark.skipif("connection.vendor != 'mysql'")
@pytest.mark.parametrize("key", [None, "k"])
def test_from_code_a_connection_that_was_cut_off_long_ago_is_no_hindrance(key):
    submission.submit_from_code([EnqueueRequest(name="job", payload={})])
    with connection.cursor() as cursor:
        cursor.execute("SELECT CONNECTION_ID()")
        (mine_id,) = cursor.fetchone()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(in_own_connection, lambda: connection.cursor().execute(f"KILL CONNECTION {mine_id}")).result(10)

    (made,) = submission.submit_from_code([EnqueueRequest(name="job", payload={}, idempotency_key=key)])

    assert Task.objects.filter(pk=made.pk).exists() and Task.objects.count() == 2


def test_there_are_so_many_queues_and_no_more(settings):
    before = set(Queue.objects.values_list("name", flat=True))
    settings.DTQ_TASKS = replace(settings.DTQ_TASKS, max_queues=len(before) + 2)
    made = submit([asked(queue="one"), asked(queue="two")], owner())

    with pytest.raises(BadInput) as refused:
        submit([asked(queue="one"), asked(queue="three")], owner())

    made += submit([asked(queue="one")], owner())
    assert refused.value.field == "queue" and "queues already; use one of them" in refused.value.message
    assert set(Task.objects.all()) == set(made)
    assert set(Queue.objects.values_list("name", flat=True)) == before | {"one", "two"}
