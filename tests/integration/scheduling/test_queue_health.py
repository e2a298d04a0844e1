"""The report about queues and workers, in the log and in /metrics."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from scheduling.duties.queue_health import QueueHealth
from scheduling.queue_reports import QueueReport, reports
from tasks import queues
from tasks.models import Task
from tests.integration.scheduling.performing import make_duty
from tests.support.factories import START, ManualClock, after, claim, create, waiting
from workers import presence
from workers.domain.card import WorkerCard
from workers.models import Worker


def report(name: str, seconds: float) -> QueueReport:
    return next(each for each in reports(after(seconds)) if each.name == name)


def test_a_report_has_the_length_the_running_and_the_age_of_the_oldest_whatever_its_priority():
    create(after(0), queue="mail", priority=1)
    create(after(5), queue="mail", priority=20)
    create(after(10), queue="mail", priority=20)
    claim([create(after(0), queue="mail", priority=100)], after(11))
    waiting(after(0), queue="mail")
    queues.ensure(["idle"], START)

    assert report("mail", 60) == QueueReport("mail", False, 3, 1, 60.0)
    assert report("idle", 60) == QueueReport("idle", False, 0, 0, 0.0)


@pytest.mark.parametrize("ageing", [None, 20])
def test_the_oldest_is_found_among_all_priorities_with_and_without_ageing(ageing: int | None):
    create(queue="mail")
    queues.configure("mail", {"ageing_seconds": ageing})
    queues.forget_known()
    Task.objects.all().delete()
    for number in range(30):
        create(after(100 - number), queue="mail", priority=[-100, -3, 0, 1, 5, 7, 20, 99, 100][number % 9])

    assert report("mail", 200).oldest_seconds == pytest.approx(129)


def test_places_that_an_ageing_has_left_behind_do_not_hold_it_up():
    for priority in (100, 5, 1, -100):
        create(after(50), queue="mail", priority=priority)
    Task.objects.filter(priority=100).update(rank=Task.objects.get(priority=-100).rank + 7)

    assert report("mail", 60).oldest_seconds == pytest.approx(10)


def test_it_tells_of_each_queue_that_is_not_empty_and_warns_of_one_whose_oldest_waits_too_long():
    create(after(0), queue="late")
    create(after(200), queue="mail")
    create(after(0), queue="paused")
    queues.pause("paused")
    duty, heard = make_duty(QueueHealth)

    assert duty.perform(after(300)) == 300.0

    told = {event.facts["queue"]: (event.name, event.facts["oldest_seconds"]) for event in heard.events}
    assert told == {
        "late": ("queue.late", 300.0),
        "mail": ("queue.health", 100.0),
        "paused": ("queue.health", 300.0),
    }
    assert heard.events[0].facts == {"queue": "late", "depth": 1, "processing": 0, "oldest_seconds": 300.0}


def test_the_period_and_the_age_are_settings(settings: Any):
    options = {"queue_health_period": timedelta(seconds=30), "queue_late_after": timedelta(seconds=10)}
    settings.DTQ_SCHEDULING = type(settings.DTQ_SCHEDULING)(**options)
    create(queue="mail")
    duty, heard = make_duty(QueueHealth)

    assert duty.perform(after(10)) == 30.0
    assert [event.name for event in heard.events] == ["queue.late"]


def sign_on(name: str, seconds: float) -> Worker:
    card = WorkerCard(uuid4(), name, "h", 1, (), {}, 1, "direct", "0")
    presence.sign_on(card, after(seconds))
    return Worker.objects.get(pk=card.id)


def test_it_warns_of_workers_that_fell_silent_but_not_of_those_that_signed_off():
    sign_on("b", 0)
    sign_on("a", 0)
    presence.sign_off(sign_on("gone", 0).pk, after(1))
    sign_on("lively", 3000)
    duty, heard = make_duty(QueueHealth)

    duty.perform(after(3001))

    assert [event.facts for event in heard.named("workers.silent")] == [{"count": 2, "workers": "a,b"}]


def test_metrics_have_the_same_figures(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dtq_site.metrics.database_clock", ManualClock(after(3000)))
    create(queue="mail")
    sign_on("b", 0)

    lines = Client().get("/metrics").content.decode().splitlines()

    assert 'dtq_queue_oldest_seconds{queue="mail"} 3000.0' in lines
    assert 'dtq_queue_depth{queue="mail"} 1.0' in lines
    assert "dtq_workers_silent 1.0" in lines
