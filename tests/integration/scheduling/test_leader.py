"""Who leads: one of many, until its lease ends; and since when leaders have renewed without a gap."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.db import OperationalError

from dtq_site.foundation.clock import LeaseTimer
from dtq_site.foundation.observer import Observer, Recorder
from scheduling import selectors
from scheduling.models import LeaderLease
from scheduling.runtime.leader import Leader, acquire
from tests.support.factories import START, ManualClock, after

LEASE = timedelta(seconds=6)
ONE, OTHER = UUID(int=1), UUID(int=2)


def test_the_first_leads_and_the_other_does_not():
    assert acquire(ONE, LEASE, START) == START
    before = LeaderLease.objects.values().get()

    assert acquire(OTHER, LEASE, after(5.999)) is None
    assert LeaderLease.objects.values().get() == before
    assert selectors.has_leader(after(5.999)) and not selectors.has_leader(after(6))


def test_a_renewal_moves_the_end_and_keeps_the_term():
    acquire(ONE, LEASE, START)

    assert acquire(ONE, LEASE, after(2)) == START

    row = LeaderLease.objects.get()
    assert (row.holder, row.term, row.expires_at, row.renewed_at) == (ONE, 1, after(8), after(2))


def test_when_the_lease_has_ended_another_takes_over_and_the_first_is_told():
    acquire(ONE, LEASE, START)

    assert acquire(OTHER, LEASE, after(6)) == START

    row = LeaderLease.objects.get()
    assert (row.holder, row.term, row.expires_at) == (OTHER, 2, after(12))
    assert acquire(ONE, LEASE, after(7)) is None


@pytest.mark.parametrize(("gap", "since"), [(10, 0), (10.001, 10.001)])
def test_the_unbroken_run_is_handed_on_and_ends_with_a_gap(gap, since):
    acquire(ONE, LEASE, START)

    assert acquire(OTHER, LEASE, after(gap)) == after(since)


def test_a_gap_ends_the_run_of_the_same_holder_too():
    acquire(ONE, LEASE, START)
    acquire(ONE, LEASE, after(2))

    assert acquire(ONE, LEASE, after(60)) == after(60)
    assert acquire(ONE, LEASE, after(62)) == after(60)


# --- the service ---------------------------------------------------------------------------------------------------


class Clocks:
    """This machine's clocks, in the test's hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.elapsed = 0.0
        monkeypatch.setattr(LeaseTimer, "sent_at", staticmethod(lambda: (self.elapsed,) * 3))


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


def make(holder: UUID, clock: ManualClock) -> tuple[Leader, Recorder]:
    heard = Recorder()
    return Leader(Observer(heard), clock, LEASE, holder), heard


def test_a_leader_trusts_itself_a_little_shorter_than_its_lease(clocks):
    leader, heard = make(ONE, ManualClock())
    assert (leader.leads, leader.up_for(START)) == (False, timedelta())

    assert leader.run_once() == 1.5

    assert leader.leads and leader.up_for(after(3)) == timedelta(seconds=3)
    clocks.elapsed += 4.99
    assert leader.leads
    clocks.elapsed += 0.02
    assert not leader.leads
    assert [event.name for event in heard.events] == ["leader.elected"]


def test_of_two_one_leads_and_after_its_resignation_the_other_at_once(clocks):
    clock = ManualClock()
    (first, first_heard), (second, second_heard) = make(ONE, clock), make(OTHER, clock)
    first.run_once()
    second.run_once()
    assert (first.leads, second.leads, second.up_for(START)) == (True, False, timedelta())

    clock.advance(1)
    first.resign()
    second.run_once()

    assert (first.leads, second.leads) == (False, True)
    assert second.up_for(clock.now()) == timedelta(seconds=1)
    assert [event.facts["holder"] for event in second_heard.named("leader.elected")] == [str(OTHER)]
    first.run_once()
    assert not first.leads
    assert [event.name for event in first_heard.events] == ["leader.elected"]


def test_one_that_was_suspended_learns_that_it_no_longer_leads(clocks):
    clock = ManualClock()
    (first, heard), (second, _) = make(ONE, clock), make(OTHER, clock)
    first.run_once()
    clock.advance(7)
    second.run_once()

    first.run_once()

    assert (first.leads, second.leads) == (False, True)
    assert heard.named("leader.lost") != []


def test_the_resignation_of_one_that_does_not_lead_takes_nothing(clocks):
    clock = ManualClock()
    (first, _), (second, _) = make(ONE, clock), make(OTHER, clock)
    first.run_once()
    before = LeaderLease.objects.values().get()

    second.resign()

    assert LeaderLease.objects.values().get() == before


def test_while_the_database_is_away_a_leader_trusts_its_lease_to_its_end_and_tells_it_once(clocks, monkeypatch):
    leader, heard = make(ONE, ManualClock())
    leader.run_once()

    def away(*_: object) -> None:
        raise OperationalError(2013, "Lost connection")

    with monkeypatch.context() as outage:
        outage.setattr("scheduling.runtime.leader.acquire", away)
        assert [leader.run_once(), leader.run_once()] == [1.0, 1.0]
        assert leader.leads
        clocks.elapsed += 5.01
        assert not leader.leads
    leader.run_once()

    assert leader.leads
    names = [event.name for event in heard.events]
    assert names == ["leader.elected", "server.unreachable", "leader.elected", "server.reachable"]
