"""Hears of tasks that were made to wait until a moment, so that the promoter can sleep until the next one is due.

Redis only rings: it keeps nothing of what is said on this channel, and whatever is not heard the rows tell. While nobody can
be heard, the promoter looks at the rows often.
"""

from __future__ import annotations

from django.conf import settings
from redis.client import PubSub
from redis.exceptions import RedisError

from dtq_site.foundation.clock import elapsed_clock, from_milliseconds
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.redis_clients import redis_client
from dtq_site.foundation.service import Service
from scheduling.duties.promoter import Promoter
from scheduling.runtime.duty import LOOK_SECONDS
from scheduling.runtime.leader import Leader
from tasks.queue import keys
from tasks.queue.dispatch import redis_index

ASK_SECONDS = 1.0
"""After how much silence Redis is asked whether it is there; as long again without an answer, and it is not."""

AGAIN_SECONDS = 0.5


class DueListener(Service):
    """Listens while this process leads."""

    name = "due listener"

    def __init__(self, observer: Observer, leader: Leader, promoter: Promoter) -> None:
        super().__init__(observer)
        self._leader = leader
        self._promoter = promoter
        self._channel: PubSub | None = None
        self._heard_at = self._asked_at = 0.0

    def run_once(self) -> float:
        """Wait a little for the next word, and pass it on."""
        if not self._leader.leads:
            self._hang_up()
            return LOOK_SECONDS
        try:
            channel = self._channel or self._dial()
            self._take(channel.get_message(timeout=LOOK_SECONDS))
            self._ask_if_silent(channel)
        except RedisError:
            self._hang_up()
            return AGAIN_SECONDS
        return 0.0

    def _dial(self) -> PubSub:
        redis_index()  # it starts the embedded Redis, where that is configured
        client = redis_client(settings.REDIS_URL, timeout_seconds=ASK_SECONDS, max_connections=1)
        self._channel = client.pubsub()
        self._heard_at = self._asked_at = elapsed_clock()
        self._channel.subscribe(keys.DUE)
        return self._channel

    def _take(self, message: dict | None) -> None:
        if message is None:
            return
        self._heard_at = elapsed_clock()
        if message["type"] == "message":
            self._promoter.hear(from_milliseconds(int(message["data"])))
        else:  # subscribed, or an answer
            self._promoter.be_told(True)

    def _ask_if_silent(self, channel: PubSub) -> None:
        now = elapsed_clock()
        if now - self._heard_at > 2 * ASK_SECONDS:
            self._hang_up()
        elif now - max(self._heard_at, self._asked_at) > ASK_SECONDS:
            self._asked_at = now
            channel.ping()

    def _hang_up(self) -> None:
        self._promoter.be_told(False)
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def at_end(self) -> None:
        """Leave nothing open."""
        self._hang_up()
