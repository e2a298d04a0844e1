"""What duties do is written down, also of one that hangs, and shows in /health and /metrics."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError
from django.test import Client

from dtq_site import health
from dtq_site.foundation.observer import Observer, Recorder
from scheduling.duty_states import DutyHealth, duty_states
from scheduling.models import DutyRecord
from scheduling.runtime import bookkeeper
from scheduling.runtime.bookkeeper import Bookkeeper
from scheduling.runtime.leader import acquire
from scheduling.runtime.progress import Progress
from scheduling.runtime.reachability import Reachability
from scheduling.runtime.scheduler import DUTIES
from tests.support.factories import START, ManualClock, after

PATIENCE = timedelta(seconds=10)


class Books:
    """A bookkeeper of two duties, at a time that stands still."""

    def __init__(self) -> None:
        self.heard, self.clock = Recorder(), ManualClock()
        self.duties = {"promoter": Progress(), "reaper": Progress()}
        observer = Observer(self.heard)
        self.keeper = Bookkeeper(observer, self.clock, Reachability(observer), self.duties)

    def succeed(self, name: str, seconds: float, rows: int = 0, rest: float = 1.0) -> None:
        """A round at that moment."""
        now = after(seconds)
        with self.duties[name].round(now, PATIENCE) as stopwatch:
            self.duties[name].treat(rows)
            self.duties[name].finish(stopwatch, now + timedelta(seconds=rest) + PATIENCE, is_through=True)

    def fail(self, name: str, seconds: float) -> None:
        """A round at that moment that fails."""
        with self.duties[name].round(after(seconds), PATIENCE) as stopwatch:
            self.duties[name].fail(stopwatch, "ZeroDivisionError('secret')")


def record(name: str) -> DutyRecord:
    return DutyRecord.objects.get(name=name)


def test_only_what_is_new_is_written_and_counts_add_up_over_all_processes(django_assert_num_queries: Any):
    one, other = Books(), Books()
    one.succeed("promoter", 0, rows=5)
    other.succeed("promoter", 1, rows=7)
    for books in (one, other):
        books.keeper.run_once()
    one.succeed("promoter", 2, rows=1)
    one.keeper.run_once()

    with django_assert_num_queries(0):
        assert one.keeper.run_once() == 1.0

    kept = record("promoter")
    assert (kept.treated, kept.failures, kept.began_at) == (13, 0, None)
    assert after(2) <= kept.succeeded_at < after(3)
    assert not DutyRecord.objects.filter(name="reaper").exists()


def test_a_failure_is_written_with_its_error_and_leaves_the_last_success():
    books = Books()
    books.succeed("reaper", 0)
    books.keeper.run_once()
    before = record("reaper")

    books.fail("reaper", 5)
    books.keeper.run_once()

    kept = record("reaper")
    assert (kept.failures, kept.error) == (1, "ZeroDivisionError('secret')")
    assert kept.succeeded_at == before.succeeded_at < kept.failed_at


def test_a_process_that_has_done_nothing_well_does_not_erase_what_others_did():
    one, other = Books(), Books()
    one.succeed("reaper", 0)
    one.keeper.run_once()
    before = record("reaper")
    other.fail("reaper", 1)
    other.keeper.run_once()

    assert record("reaper").succeeded_at == before.succeeded_at


def test_what_could_not_be_written_is_written_later(monkeypatch: pytest.MonkeyPatch):
    books = Books()
    books.succeed("reaper", 0, rows=2)

    def away(*_: object) -> None:
        raise OperationalError(2013, "Lost connection")

    with monkeypatch.context() as outage:
        outage.setattr(bookkeeper, "write_down", away)
        assert books.keeper.run_once() == 1.0
    books.succeed("reaper", 1, rows=3)
    books.keeper.run_once()

    assert record("reaper").treated == 5
    assert [event.name for event in books.heard.events] == ["server.unreachable", "server.reachable"]


def test_a_round_that_hangs_is_told_once_and_shows_in_its_record():
    books = Books()
    hangs = threading.Event()

    def hang() -> None:
        with books.duties["reaper"].round(START, PATIENCE):
            hangs.wait(20)

    thread = threading.Thread(target=hang)
    thread.start()
    for seconds in (0, 9, 11, 12):
        books.clock.moment = after(seconds)
        books.keeper.run_once()
    state = next(state for state in duty_states() if state.name == "reaper")
    hangs.set()
    thread.join()

    assert [event.facts for event in books.heard.named("duty.slow")] == [{"duty": "reaper", "seconds": 11.0}]
    assert (state.record.began_at, state.health(after(9)), state.health(after(11))) == (
        START,
        DutyHealth.OK,
        DutyHealth.BEHIND,
    )


# --- /health and /metrics ------------------------------------------------------------------------------------------


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """The time of the probes."""
    clock = ManualClock(after(1))
    monkeypatch.setattr(health, "database_clock", clock)
    monkeypatch.setattr("dtq_site.metrics.database_clock", clock)
    return clock


def checks() -> dict[str, str]:
    """What /health says of scheduling."""
    found = Client().get("/health").json()["checks"]
    return {name: check["status"] for name, check in found.items() if name == "scheduler" or name.startswith("duty ")}


def all_on_time(until: float) -> None:
    for duty in DUTIES:
        DutyRecord.objects.create(name=duty.name, succeeded_at=START, expected_at=after(until))


def test_without_a_leader_and_without_records_there_is_no_scheduler(now: ManualClock):
    assert checks() == {"scheduler": "none"}


def test_while_all_is_well_there_is_one_line(now: ManualClock):
    acquire(uuid4(), timedelta(seconds=6), START)
    all_on_time(10)

    assert checks() == {"scheduler": "ok"}


def test_a_duty_that_fails_and_one_that_is_behind_have_a_line_each_that_tells_no_secret(now: ManualClock):
    acquire(uuid4(), timedelta(seconds=60), START)
    all_on_time(100)
    DutyRecord.objects.filter(name="promoter").update(expected_at=after(0.5))
    DutyRecord.objects.filter(name="task retention").update(failed_at=after(0.5), error="secret", failures=1)

    assert checks() == {"scheduler": "ok", "duty promoter": "behind", "duty task retention": "failing"}
    assert b"secret" not in Client().get("/health").content


def test_a_duty_that_succeeds_again_is_well_again(now: ManualClock):
    acquire(uuid4(), timedelta(seconds=60), START)
    all_on_time(100)
    DutyRecord.objects.filter(name="promoter").update(failed_at=after(0.5), succeeded_at=after(0.7))

    assert checks() == {"scheduler": "ok"}


def test_between_two_calls_of_once_nobody_leads_and_all_is_well_until_nobody_calls_any_more(now: ManualClock):
    all_on_time(300)

    assert checks() == {"scheduler": "ok"}
    now.moment = after(301)
    assert checks() == {"scheduler": "none"}


def test_metrics_have_all_duties_from_the_start_and_what_they_did(now: ManualClock):
    before = Client().get("/metrics").content.decode()
    books = Books()
    books.succeed("reaper", 0, rows=3)
    books.fail("reaper", 0.5)
    books.keeper.run_once()
    after_it = Client().get("/metrics").content.decode().splitlines()

    for duty in DUTIES:
        assert f'dtq_duty_failures_total{{duty="{duty.name}"}} 0.0' in before
        assert f'dtq_duty_last_success_timestamp_seconds{{duty="{duty.name}"}} 0.0' in before
    assert 'dtq_duty_rows_total{duty="reaper"} 3.0' in after_it
    assert 'dtq_duty_failures_total{duty="reaper"} 1.0' in after_it
    assert 'dtq_duty_behind{duty="reaper"} 1.0' in after_it
    assert 'dtq_duty_behind{duty="promoter"} 0.0' in after_it
