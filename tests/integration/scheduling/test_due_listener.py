"""Who tells the promoter that a task waits, and what it does when nobody can."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from dtq_site.foundation.observer import Observer
from scheduling.duties.promoter import Promoter
from scheduling.runtime import due_listener
from scheduling.runtime.due_listener import DueListener
from tasks import lifecycle
from tests.integration.scheduling.performing import Leading, make_duty, woken
from tests.support.factories import START, after, claim, claimed, create, failed, lease_of, settle, waiting
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("elapsed")


@pytest.fixture
def listening(redis_server: Redis) -> Iterator[tuple[Promoter, DueListener, Any]]:
    """A promoter whose listener runs."""
    leader = Leading()
    promoter, _ = make_duty(Promoter, leader)
    listener = DueListener(Observer(), leader, promoter)
    listener.start()
    yield promoter, listener, leader
    listener.stop()
    assert listener.join(5)


def test_a_task_that_is_made_to_wait_wakes_it_however_that_came_about(listening: Any):
    promoter, _, _ = listening
    eventually(lambda: promoter._is_told)
    now = START
    failing, moved = claimed(), waiting()

    for make_wait in (  # each is due sooner than the one before
        lambda: create(scheduled_at=after(0.6)),
        lambda: settle(failed(lease_of(failing), retry_delay_seconds=0.4)),
        lambda: lifecycle.update(moved.pk, {"scheduled_at": after(0.2)}, now),
    ):
        promoter.perform(now)
        woken(promoter)
        make_wait()
        assert eventually(lambda: woken(promoter))


def test_what_becomes_ready_at_once_does_not_wake_it(listening: Any):
    promoter, _, _ = listening
    eventually(lambda: promoter._is_told)
    promoter.perform(START)
    woken(promoter)

    task = create()
    create(scheduled_at=after(30))
    claim([task])
    create(scheduled_at=after(0.5))  # the only one to be heard of

    assert eventually(lambda: woken(promoter))
    assert not woken(promoter)


def test_only_while_it_leads_anybody_listens(listening: Any, redis_server: Redis):
    promoter, _, leader = listening
    eventually(lambda: redis_server.pubsub_numsub("dtq:due")[0][1] == 1)

    leader.leads = False
    eventually(lambda: redis_server.pubsub_numsub("dtq:due")[0][1] == 0)
    assert not promoter._is_told

    leader.leads = True
    assert eventually(lambda: promoter._is_told)


def test_a_connection_that_is_lost_is_noticed_at_once_and_made_again(listening: Any, redis_server: Redis):
    promoter, _, _ = listening
    eventually(lambda: promoter._is_told)
    lost = threading.Event()
    be_told = promoter.be_told
    promoter.be_told = lambda is_told: (lost.set() if not is_told else None, be_told(is_told))  # type: ignore[method-assign]

    redis_server.client_kill_filter(_type="pubsub")

    assert lost.wait(3)
    assert eventually(lambda: promoter._is_told)


def test_a_silent_redis_is_taken_for_gone(listening: Any, monkeypatch: pytest.MonkeyPatch):
    promoter, _, _ = listening
    eventually(lambda: promoter._is_told)

    with monkeypatch.context() as frozen:
        frozen.setattr(due_listener.PubSub, "get_message", lambda _, timeout: time.sleep(timeout))
        assert eventually(lambda: not promoter._is_told, 5)

    assert eventually(lambda: promoter._is_told)
