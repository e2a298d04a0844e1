"""The waiting room of this process: claims of remote workers wait there for tasks, and Redis rings for them."""

from __future__ import annotations

from django.conf import settings
from prometheus_client import Gauge

from dtq_site.api.bells import RedisBells
from dtq_site.api.threads import RequestThreads
from dtq_site.api.waiting import WaitingRoom, Wishes
from dtq_site.foundation.logging import log_events
from dtq_site.foundation.observer import Observer
from tasks.queue import keys
from tasks.queue.dispatch import redis_index
from workers.gateway import Caller
from workers.waiting import may_serve, with_work

_observer = Observer(log_events("dtq.waiting", {"bells.unheard": "warning", "waiting.failed": "warning"}))
_waiting = Gauge("dtq_claims_waiting", "Claims of remote workers that wait for tasks in this process.")


def make_room(threads: RequestThreads) -> WaitingRoom:
    """A room whose guests are asked again on half of the threads, so that others get through when all are called."""

    async def have_redis() -> None:
        await threads.run(redis_index)  # it starts the embedded Redis, where that is configured

    bells = RedisBells(settings.REDIS_URL, keys.RINGS, keys.lane_of_bell, prepare=have_redis, observer=_observer)
    most, turns = settings.DTQ_WORKERS.waiting_claims, max(1, settings.DTQ_API.threads // 2)
    room = WaitingRoom(threads, Wishes(_concerns, with_work), bells, most=most, turns=turns, observer=_observer)
    _waiting.set_function(lambda: len(room))
    return room


def _concerns(caller: Caller, lane: tuple[str, str]) -> bool:
    return may_serve(caller, *lane)
