"""The database's clock, carried on by this machine's; leases counted on whichever clock ran farthest."""

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtq_site.foundation import clock as clocks
from dtq_site.foundation.clock import DatabaseClock, LeaseTimer, from_milliseconds, milliseconds

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


class Server:
    """A database with a true clock, on a line of known slowness."""

    def __init__(self) -> None:
        self.elapsed = 1000.0
        self.there, self.back = 0.0, 0.0
        self.stepped = timedelta()
        self.samples = 0
        self.away = False

    def true_time(self) -> datetime:
        return NOON + timedelta(seconds=self.elapsed - 1000.0) + self.stepped

    def sample(self) -> datetime:
        self.samples += 1
        if self.away:
            raise ConnectionError("gone")
        self.elapsed += self.there
        answer = self.true_time()
        self.elapsed += self.back
        return answer

    def clock(self) -> DatabaseClock:
        return DatabaseClock(self.sample, resample_seconds=10, boot=lambda: self.elapsed)


def test_the_clock_is_late_by_the_way_back_and_never_early():
    server = Server()
    server.there, server.back = 0.4, 0.3
    clock = server.clock()

    told = clock.now()

    assert (server.true_time() - told).total_seconds() == pytest.approx(0.3)


def test_between_two_samples_it_runs_on_without_a_question():
    server = Server()
    clock = server.clock()
    clock.now()

    server.elapsed += 9.5

    assert clock.now() == NOON + timedelta(seconds=9.5)
    assert server.samples == 1


def test_after_the_period_it_asks_again():
    server = Server()
    clock = server.clock()
    clock.now()

    server.elapsed += 10.5
    clock.now()
    clock.now()

    assert server.samples == 2


def test_a_first_answer_that_took_long_is_asked_for_once_more():
    server = Server()
    server.back = 3.0
    clock = DatabaseClock(lambda: slow_once(server), resample_seconds=10, boot=lambda: server.elapsed)

    told = clock.now()

    assert (told, server.samples) == (server.true_time(), 2)


def slow_once(server: Server) -> datetime:
    answer = server.sample()
    server.back = 0.0
    return answer


def test_an_answer_that_took_long_makes_the_clock_no_later():
    server = Server()
    clock = server.clock()
    clock.now()

    server.elapsed += 10.5
    server.back = 16.0
    told = clock.now()

    assert told == server.true_time()


@pytest.mark.parametrize("step", [-60, 60])
def test_an_answer_that_took_long_tells_of_a_step_all_the_same(step: int):
    server = Server()
    clock = server.clock()
    clock.now()

    server.elapsed += 10.5
    server.back = 16.0
    server.stepped = timedelta(seconds=step)
    told = clock.now()

    assert (server.true_time() - told).total_seconds() == pytest.approx(16.0)


def test_without_any_sample_a_failure_reaches_the_caller_and_the_next_call_asks_again():
    server = Server()
    server.away = True
    clock = server.clock()

    with pytest.raises(ConnectionError):
        clock.now()
    server.away = False

    assert clock.now() == NOON


def test_a_failing_sample_is_survived_and_not_repeated_at_every_call():
    server = Server()
    clock = server.clock()
    clock.now()
    server.away = True

    server.elapsed += 11
    first, second = clock.now(), clock.now()

    assert first == second == NOON + timedelta(seconds=11)
    assert server.samples == 2
    server.elapsed += 11
    assert clock.now() == NOON + timedelta(seconds=22)
    assert server.samples == 3


def test_while_one_thread_asks_again_the_others_go_on_with_what_is_known():
    server = Server()
    clock = server.clock()
    clock.now()
    server.elapsed += 11
    asked, may_answer = threading.Event(), threading.Event()

    def slow_sample() -> datetime:
        asked.set()
        assert may_answer.wait(5)
        return server.true_time()

    clock._sample = slow_sample
    asking = threading.Thread(target=clock.now)
    asking.start()
    assert asked.wait(5)

    assert clock.now() == NOON + timedelta(seconds=11)
    may_answer.set()
    asking.join(5)


@pytest.mark.parametrize("farthest", [0, 1, 2])
def test_a_lease_is_counted_on_the_clock_that_ran_farthest(monkeypatch, farthest):
    timer = LeaseTimer(margin_seconds=1.0)
    sent = (100.0, 200.0, 300.0)
    now = [100.5, 200.5, 300.5]
    now[farthest] += 4.0
    monkeypatch.setattr(LeaseTimer, "sent_at", staticmethod(lambda: tuple(now)))

    assert timer.remaining_seconds(sent, 15.0) == 15.0 - 1.0 - 4.5


def test_a_wall_clock_that_is_set_back_lengthens_no_lease(monkeypatch):
    monkeypatch.setattr(LeaseTimer, "sent_at", staticmethod(lambda: (110.0, 210.0, -5000.0)))

    assert LeaseTimer(1.0).remaining_seconds((100.0, 200.0, 300.0), 10.0) == -1.0


def test_the_three_clocks_are_read_in_their_order():
    readings = LeaseTimer.sent_at()

    assert readings == pytest.approx((time.monotonic(), clocks.boot_clock(), time.time()), abs=1.0)


def test_the_boot_has_a_name_where_the_system_gives_it_one(monkeypatch):
    names = {"/proc/sys/kernel/random/boot_id": "2b0e\n"}
    monkeypatch.setattr(Path, "read_text", lambda path: names[str(path)])
    assert clocks.boot_id.__wrapped__() == "2b0e"

    def not_there(path: Path) -> str:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_text", not_there)
    assert clocks.boot_id.__wrapped__() == ""


@given(st.datetimes(datetime(1900, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC)))
def test_milliseconds_are_rounded_down_exactly(moment):
    exact = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) // 1000

    assert milliseconds(moment) == exact
    assert timedelta(0) <= moment - from_milliseconds(exact) < timedelta(milliseconds=1)
