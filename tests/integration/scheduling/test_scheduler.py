"""The scheduler process from its start to its end."""

from __future__ import annotations

import pytest
from django.db import OperationalError

from dtq_site.foundation.clock import DatabaseClock, host_now
from dtq_site.foundation.observer import Observer, Recorder
from dtq_site.foundation.service import ServiceGroup
from scheduling.runtime.leader import Leader
from scheduling.runtime.scheduler import Scheduler


@pytest.mark.parametrize(("stuck", "facts"), [([], {}), (["reaper", "promoter"], {"stuck": "reaper,promoter"})])
def test_the_end_names_what_is_stuck_if_anything_is(
    stuck: list[str], facts: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ServiceGroup, "start", lambda group: None)
    monkeypatch.setattr(ServiceGroup, "stop", lambda group, seconds: stuck)
    recorder = Recorder()
    scheduler = Scheduler(Observer(recorder), DatabaseClock(host_now))
    scheduler.stop()

    scheduler.run()

    (event,) = recorder.named("scheduler.stopped")
    assert event.facts == facts


def test_it_ends_in_peace_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch):
    def away(*_: object) -> None:
        raise OperationalError(2002, "Can't connect to server")

    monkeypatch.setattr(ServiceGroup, "start", lambda group: None)
    monkeypatch.setattr(Leader, "resign", away)
    recorder = Recorder()
    scheduler = Scheduler(Observer(recorder), DatabaseClock(host_now))
    scheduler.stop()

    scheduler.run()

    assert [event.name for event in recorder.events] == ["scheduler.ready", "scheduler.stopped"]
