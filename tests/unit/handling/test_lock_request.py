"""Locks that a handler takes while it runs: entering, waiting, giving up and leaving."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future

import pytest

from dtq_site.foundation.errors import BadInput
from tasks import LockUnavailable, TaskCancelled
from tasks.domain.locks import LockAnswer, LockVerdict
from tests.support.handlers import RecordingSink, make_context
from tests.support.waiting import eventually

BUSY, LOST = LockAnswer(LockVerdict.BUSY), LockAnswer(LockVerdict.LOST)


class Watch:
    """A clock that goes on by `step` whenever it is read."""

    def __init__(self, step: float) -> None:
        self.seconds, self.step = 0.0, step

    def __call__(self) -> float:
        self.seconds += self.step
        return self.seconds


class AnsweringLate(RecordingSink):
    """Its answers are given by the test."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Future[LockAnswer]] = []

    def take_lock(self, name: str) -> Future[LockAnswer]:
        self.asked.append(Future())
        return self.asked[-1]


def taken(number: int) -> LockAnswer:
    return LockAnswer(LockVerdict.TAKEN, number)


def test_a_lock_is_held_inside_of_its_block():
    sink = RecordingSink()
    sink.locks = [taken(41)]

    with make_context(sink).lock("prices") as held:
        inside = (held.name, held.fencing_number, held.is_valid)

    assert inside == ("prices", 41, True)
    assert not held.is_valid
    assert sink.told == ["take prices", "free prices"]


def test_a_lock_is_no_more_valid_than_the_lease():
    sink = RecordingSink()

    with make_context(sink).lock("prices") as held:
        sink.leased = False
        assert not held.is_valid
        sink.leased = True
        assert held.is_valid


def test_a_lock_is_freed_when_the_block_fails():
    sink = RecordingSink()

    with pytest.raises(KeyError), make_context(sink).lock("prices"):
        raise KeyError

    assert sink.told == ["take prices", "free prices"]


def test_without_a_timeout_it_is_tried_once():
    sink = RecordingSink()
    sink.locks = [BUSY]

    with (
        pytest.raises(LockUnavailable, match=r"The lock 'prices' was not to be had within 0 s\."),
        make_context(sink).lock("prices"),
    ):
        pytest.fail("the block was entered")

    assert sink.told == ["take prices"]


def test_waiting_goes_on_until_the_lock_is_free():
    sink = RecordingSink()
    sink.locks = [BUSY, BUSY, taken(3)]

    with make_context(sink).lock("prices", timeout=5) as held:
        assert held.fencing_number == 3

    assert sink.told == [*["take prices", "wait 1 s for prices"] * 2, "take prices", "free prices"]


def test_waiting_ends_with_the_timeout_and_the_last_wait_is_no_longer_than_that():
    sink = RecordingSink()
    sink.locks = [BUSY] * 9

    with pytest.raises(LockUnavailable), make_context(sink, elapsed=Watch(0.5)).lock("prices", timeout=1.75):
        pytest.fail("the block was entered")

    assert sink.told == ["take prices", "wait 0.75 s for prices", "take prices"]


def test_waiting_is_a_checkpoint():
    sink = RecordingSink()
    sink.locks = [BUSY]
    sink.wait_for_lock = lambda name, seconds: setattr(sink, "cancelled", True)

    with pytest.raises(TaskCancelled), make_context(sink).lock("prices", timeout=60):
        pytest.fail("the block was entered")

    assert sink.told == ["take prices"]


def test_an_attempt_that_is_over_gets_no_lock():
    sink = RecordingSink()
    sink.locks = [LOST]

    with pytest.raises(TaskCancelled), make_context(sink).lock("prices", timeout=60):
        pytest.fail("the block was entered")


def test_an_attempt_does_not_wait_for_itself():
    sink = RecordingSink()
    context = make_context(sink, lock="report:ann", lock_fencing_number=5)

    with pytest.raises(RuntimeError, match="holds the lock 'report:ann' already"), context.lock("report:ann"):
        pytest.fail("the block was entered")
    with (
        context.lock("prices"),
        pytest.raises(RuntimeError, match="holds the lock 'prices' already"),
        context.lock("prices"),
    ):
        pytest.fail("the block was entered twice")
    with context.lock("prices"), context.lock("stock"):
        pass

    assert sink.told == ["take prices", "free prices", "take prices", "take stock", "free stock", "free prices"]


def test_what_can_be_no_lock_is_refused_before_anybody_is_asked():
    sink = RecordingSink()

    with pytest.raises(BadInput):
        make_context(sink).lock("")
    for timeout in (-1, float("nan")):
        with pytest.raises(ValueError, match="timeout must be 0 or more seconds"):
            make_context(sink).lock("prices", timeout=timeout)

    assert sink.told == []


def test_the_number_of_the_tasks_own_lock_is_told():
    assert make_context(RecordingSink(), lock="a", lock_fencing_number=9).lock_fencing_number == 9
    assert make_context(RecordingSink()).lock_fencing_number is None


# --- async ---------------------------------------------------------------------------------------------------------


def test_an_async_handler_waits_and_frees_too():
    sink = RecordingSink()
    sink.locks = [BUSY, taken(3)]

    async def handler() -> int:
        async with make_context(sink).lock("prices", timeout=5) as held:
            return held.fencing_number

    assert asyncio.run(handler()) == 3
    assert sink.told == ["take prices", "wait 1 s for prices", "take prices", "free prices"]


def test_a_lock_that_is_taken_after_its_async_handler_was_cancelled_is_freed():
    sink = AnsweringLate()

    async def handler() -> None:
        async with make_context(sink).lock("prices", timeout=5):
            pytest.fail("the block was entered")

    async def cancelled_meanwhile() -> None:
        running = asyncio.create_task(handler())
        while not sink.asked:
            await asyncio.sleep(0)
        assert sink.asked[0].set_running_or_notify_cancel()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(cancelled_meanwhile())
    before = list(sink.told)
    sink.asked[0].set_result(taken(3))

    assert before == []
    assert eventually(lambda: sink.told) == ["free prices"]
