"""The duties that see to locks."""

from __future__ import annotations

from typing import Any

import pytest

from scheduling.duties import lock_keeper
from scheduling.duties.lock_keeper import LockKeeper
from scheduling.duties.retention import LockRetention
from tasks import lifecycle, queues
from tasks.models import NamedLock, Task
from tests.integration.scheduling.performing import make_duty
from tests.integration.tasks.attempts import state
from tests.integration.tasks.locking import READY, WAITING
from tests.support.factories import (
    after,
    claim,
    completed,
    create,
    lease_of,
    reread,
    settle,
)


def held_and_awaited(lock: str = "a", **fields: Any) -> tuple[Task, Task]:
    """A task that runs, and one that waits for its lock."""
    running, waiting = create(lock=lock), create(lock=lock, **fields)
    claim([running])
    claim([waiting])
    return reread(running), reread(waiting)


def test_the_keeper_frees_the_lock_of_a_cancelled_task_whose_worker_is_silent_when_its_lease_has_ended():
    running, waiting = held_and_awaited()
    lifecycle.cancel(running.pk, after(1))
    duty, heard = make_duty(LockKeeper)

    duty.perform(after(14))
    before = state(waiting)
    duty.perform(after(15))

    assert (before, state(waiting)) == (WAITING, READY)
    assert [(event.name, event.facts) for event in heard.events] == [("locks.handed_over", {"woken": 1})]


def test_such_a_lock_for_which_nobody_waits_is_freed_too():
    (running,) = claim([create(lock="a")])
    lifecycle.cancel(running.pk, after(1))
    duty, heard = make_duty(LockKeeper)

    assert duty.perform(after(60)) == 1.0

    assert (NamedLock.objects.get().holder_id, NamedLock.objects.get().ends_at, heard.events) == (None, None, [])


def test_the_keeper_leaves_alone_what_is_held():
    _, waiting = held_and_awaited()
    duty, heard = make_duty(LockKeeper)

    duty.perform(after(600))

    assert (state(waiting), heard.events) == (WAITING, [])


def test_while_the_one_that_was_woken_sits_in_a_paused_queue_the_next_has_its_chance():
    running, first = held_and_awaited(queue="paused")
    second = create(lock="a")
    claim([second])
    queues.pause("paused")
    settle(completed(lease_of(running)), now=after(1))
    duty, _ = make_duty(LockKeeper)
    assert (state(first), state(second)) == (READY, WAITING)

    duty.perform(after(2))

    assert (state(second), [task.pk for task in claim([second], after(3))]) == (READY, [second.pk])


def test_the_keeper_comes_to_every_lock_though_it_looks_at_a_page_at_a_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lock_keeper, "PAGE", 2)
    waiting = [held_and_awaited(name)[1] for name in "abcde"]
    NamedLock.objects.update(holder_id=None)
    duty, heard = make_duty(LockKeeper)

    for _ in range(3):
        duty.perform(after(1))

    assert [state(task) for task in waiting] == [READY] * 5
    assert [event.facts["woken"] for event in heard.events] == [2, 2, 1]


def test_retention_forgets_locks_that_nobody_has_taken_for_a_day():
    for name in ("free", "held", "awaited"):
        held_and_awaited(name) if name == "awaited" else claim([create(lock=name)])
    settle(completed(lease_of(Task.objects.get(lock="free"))), now=after(1))
    NamedLock.objects.filter(name="awaited").update(holder_id=None)
    duty, _ = make_duty(LockRetention)

    duty.perform(after(86_400))
    before = set(NamedLock.objects.values_list("name", flat=True))
    duty.perform(after(86_402))

    assert before == {"free", "held", "awaited"}
    assert set(NamedLock.objects.values_list("name", flat=True)) == {"held", "awaited"}


def test_after_a_full_page_of_locks_that_have_ended_the_keeper_goes_on_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lock_keeper, "PAGE", 2)
    for name in "abc":
        (running,) = claim([create(lock=name)])
        lifecycle.cancel(running.pk, after(1))
    duty, _ = make_duty(LockKeeper)

    assert [duty.perform(after(15)) for _ in range(2)] == [0.0, 1.0]
    assert NamedLock.objects.exclude(holder_id=None).count() == 0
