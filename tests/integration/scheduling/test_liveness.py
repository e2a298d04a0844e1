"""Which loops of a scheduler its probe takes for stuck."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dtq_site.foundation.observer import Observer
from dtq_site.foundation.service import Service
from scheduling.runtime.scheduler import Scheduler
from tests.support.factories import START, ManualClock
from tests.support.waiting import eventually


def test_a_leader_that_hangs_is_stuck_and_a_duty_has_the_time_of_a_round(
    settings: Any, monkeypatch: pytest.MonkeyPatch
):
    settings.DTQ_SITE = replace(settings.DTQ_SITE, stuck_after=timedelta(milliseconds=50))
    scheduler, go_on = Scheduler(Observer(), ManualClock(START)), threading.Event()
    hanging: list[Service] = [scheduler.leader, scheduler.duties[0]]
    for service in hanging:
        monkeypatch.setattr(service, "run_once", lambda: go_on.wait(30) and 3600.0)
    assert scheduler.stuck() == []

    for service in hanging:
        service.start()

    eventually(lambda: scheduler.stuck() == ["leader"])
    eventually(lambda: scheduler.duties[0].late_seconds > 0.1)
    assert scheduler.stuck() == ["leader"]
    go_on.set()
    eventually(lambda: scheduler.stuck() == [])
    for service in hanging:
        service.stop()
        assert service.join(5)
