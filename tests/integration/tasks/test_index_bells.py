"""The bells of the index in Redis: who is woken by a new task, and who is not."""

from __future__ import annotations

import threading
import time

import pytest

from tasks.queue import keys
from tests.integration.tasks.indexing import hint


def test_a_wait_ends_when_a_task_of_its_lanes_is_added(index):
    woken: list[bool] = []
    waiting = threading.Thread(target=lambda: woken.append(index.wait(["default", "other"], ["a", "job"], 3.0)))
    waiting.start()
    time.sleep(0.05)
    begun = time.monotonic()

    index.add([hint()])

    waiting.join(5)
    assert woken == ["default"]
    assert time.monotonic() - begun < 1.0


@pytest.mark.parametrize("other", [hint(name="other"), hint(queue="other")], ids=["name", "queue"])
def test_the_bell_of_another_lane_wakes_nobody(index, other):
    index.add([other])

    assert not index.wait(["default"], ["job"], 0.05)


def test_a_bell_that_rang_before_is_heard_at_once_and_once(index):
    index.add([hint()])

    assert index.wait(["default"], ["job"], 0.05)
    assert not index.wait(["default"], ["job"], 0.05)


def test_each_new_task_wakes_one_worker_and_what_is_known_wakes_nobody(index, redis_server):
    hints = [hint(n) for n in range(1, 4)]
    index.add(hints)
    assert redis_server.llen(keys.bell("default", "job")) == 3
    redis_server.delete(keys.bell("default", "job"))

    index.add(hints)

    assert not index.wait(["default"], ["job"], 0.05)


def test_bells_do_not_pile_up_and_do_not_stay_for_ever(index, redis_server):
    index.add([hint(n) for n in range(1, 300)])

    bell = keys.bell("default", "job")
    assert redis_server.llen(bell) == 32
    assert 0 < redis_server.ttl(bell) <= keys.BELL_SECONDS
