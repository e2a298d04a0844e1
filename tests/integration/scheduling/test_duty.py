"""What all duties have in common: when they rest, what an outage is, and the account that is kept of their rounds."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError

from dtq_site.foundation.observer import Observer, Recorder
from scheduling.duties.promoter import Promoter
from scheduling.duties.reaper import Reaper
from scheduling.runtime import progress
from scheduling.runtime.duty import LOOK_SECONDS, Duty
from scheduling.runtime.scheduler import DUTIES
from tests.integration.scheduling.performing import Leading, make_duty
from tests.support.factories import START, ManualClock, after


class Counting(Duty):
    """A duty that treats three rows a round, in rounds that last a second."""

    name = "counting"

    def __init__(self, period_seconds: float = 60.0) -> None:
        self.heard = Recorder()
        super().__init__(Observer(self.heard), ManualClock(), Leading())
        self.period, self.rests, self.through, self.fails = period_seconds, [period_seconds], True, None

    @property
    def period_seconds(self) -> float:
        return self.period

    @property
    def is_through(self) -> bool:
        return self.through

    def perform(self, now: datetime) -> float:
        elapsed[0] += 1.0
        if self.fails:
            raise self.fails
        self.progress.treat(3)
        return self.rests.pop(0) if len(self.rests) > 1 else self.rests[0]


elapsed = [0.0]
"""The clock by which rounds are measured."""


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "elapsed_clock", lambda: elapsed[0])


@pytest.mark.parametrize("kind", DUTIES)
def test_a_duty_rests_while_another_process_leads(kind: type[Duty], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kind, "perform", lambda *_: pytest.fail("it was performed"))
    duty, heard = make_duty(kind, Leading(leads=False))

    assert duty.run_once() == LOOK_SECONDS
    assert heard.events == []
    assert duty.progress.account == progress.Account()


@pytest.mark.parametrize("kind", DUTIES)
def test_each_duty_has_a_name_of_its_own_and_a_period(kind: type[Duty]):
    duty, _ = make_duty(kind)

    assert [each.name for each in DUTIES].count(duty.name) == 1
    assert duty.period_seconds > 0
    assert timedelta(seconds=10) <= duty.patience <= timedelta(minutes=10)


def test_an_outage_of_the_database_is_told_once_by_all_duties_together_and_so_is_its_end(
    monkeypatch: pytest.MonkeyPatch,
):
    leader = Leading()
    duties = [make_duty(kind, leader) for kind in (Promoter, Reaper)]

    def away(*_: Any) -> float:
        raise OperationalError(2002, "no connection")

    with monkeypatch.context() as outage:
        for duty, _ in duties:
            outage.setattr(type(duty), "perform", away)
        assert [duty.run_once() for duty, _ in duties * 2] == [1.0] * 4
    assert [event.name for event in leader.heard.events] == ["server.unreachable"]
    assert leader.heard.events[0].facts == {"error": "(2002, 'no connection')", "again_in_seconds": 1.0}
    assert [(duty.progress.account.failures, duty.progress.account.succeeded_at) for duty, _ in duties] == [
        (0, None)
    ] * 2

    for duty, _ in duties * 2:
        duty.run_once()
    assert [event.name for event in leader.heard.events] == ["server.unreachable", "server.reachable"]
    assert [event for _, heard in duties for event in heard.events] == []


def test_another_error_of_the_database_is_a_defect_and_shows():
    duty = Counting()
    duty.fails = OperationalError(1054, "Unknown column")

    with pytest.raises(OperationalError):
        duty.run_once()

    assert duty._leader.heard.events == []
    account = duty.progress.account
    assert (account.failures, account.error) == (1, "OperationalError(1054, 'Unknown column')")


# --- the account ---------------------------------------------------------------------------------------------------


def test_a_round_that_ends_well_is_kept_with_its_length_its_rows_and_when_the_next_one_should_have_ended():
    duty = Counting(period_seconds=60)

    assert duty.run_once() == 60

    account = duty.progress.account
    assert (account.began_at, account.succeeded_at, account.failed_at) == (None, after(1), None)
    assert (account.seconds, account.treated, account.failures) == (1.0, 3, 0)
    assert account.expected_at == after(1 + 60 + 60)


@pytest.mark.parametrize(("period", "patience"), [(0.2, 10), (60, 60), (86_400, 600)])
def test_while_a_round_goes_on_it_is_expected_to_end_within_its_period_within_bounds(period: float, patience: float):
    duty = Counting(period)
    seen = []
    duty.progress.treat = lambda rows: seen.append(duty.progress.account)  # type: ignore[method-assign]

    duty.run_once()

    assert [(account.began_at, account.expected_at) for account in seen] == [(START, after(patience))]


def test_a_failure_is_counted_and_leaves_the_last_success_and_what_is_expected():
    duty = Counting()
    duty.run_once()
    duty.fails = ZeroDivisionError("a defect")
    duty._clock.advance(60)

    with pytest.raises(ZeroDivisionError):
        duty.run_once()

    account = duty.progress.account
    assert (account.began_at, account.succeeded_at, account.failed_at) == (None, after(1), after(61))
    assert (account.error, account.failures, account.treated) == ("ZeroDivisionError('a defect')", 1, 3)
    assert account.expected_at == after(120)


def test_part_of_a_longer_piece_of_work_is_no_success_yet():
    duty = Counting()
    duty.through = False

    duty.run_once()

    assert duty.progress.account.succeeded_at is None and duty.progress.account.treated == 3


def test_to_the_end_is_round_after_round_until_it_would_rest_and_is_through():
    duty = Counting()
    duty.rests = [0.0, 0.0, 5.0]

    duty.perform_to_the_end()

    assert duty.progress.account.treated == 9
