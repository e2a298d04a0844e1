"""All subscriptions of this process: what happened is read once for all of them, and each is shown its own selection of it.

One loop, a round at a time: it is woken by messages, asks the sources on a thread what is new, executes the selections there,
those of the same key once, and hands the texts out. Every round reads committed rows after the round before it has, so no
subscription is ever shown an older state after a newer one.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dtq_site.api.listener import Listener, Message
from dtq_site.api.live_query import LiveQuery
from dtq_site.api.protocol import json_text
from dtq_site.api.threads import RequestThreads
from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.news import News, Source
from dtq_site.foundation.observer import Observer

LINGER_SECONDS = 10.0
"""How long to go on listening when nobody subscribes any more."""

_GATHER_SECONDS = 0.01
"""How long messages are gathered after a round: a hundred rounds a second are enough."""

_IDLE_SECONDS = 0.25
_CATCH_UP_SECONDS = _RETRY_SECONDS = 1.0
_START_SECONDS = 1.0


@dataclass(eq=False)
class Subscription:
    """One subscription of one client. `deliver` is called on the event loop with the subject and the payload's JSON."""

    query: LiveQuery
    deliver: Callable[[Hashable, str], None]
    end: Callable[[], None]
    started: asyncio.Event = field(default_factory=asyncio.Event)
    last: str | None = None


class Hub:
    """Feeds subscriptions from `sources`, by the class of their interest."""

    def __init__(
        self,
        sources: Mapping[type, Source],
        threads: RequestThreads,
        make_listener: Callable[[Callable[[Message], None]], Listener],
        observer: Observer,
    ) -> None:
        self._sources = sources
        self._threads = threads
        self._listener = make_listener(self._hear)
        self._observer = observer
        self._subscriptions: dict[Source, dict[Any, Subscription]] = {source: {} for source in sources.values()}
        self._heard: set[Source] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._catch_up_at = 0.0
        self._fails = False

    def __len__(self) -> int:
        return sum(map(len, self._subscriptions.values()))

    async def open(self, subscription: Subscription) -> None:
        """Have it fed; from the moment this returns no later commit is missed, unless the database is away."""
        self._listener.start()
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())
        await self._listener.ready(_START_SECONDS)
        source = self._sources[type(subscription.query.interest)]
        self._subscriptions[source][subscription.query.interest] = subscription
        self._turn_to(source)
        await subscription.started.wait()

    def close(self, subscription: Subscription) -> None:
        """Feed it no more. It may have ended already."""
        interest = subscription.query.interest
        self._subscriptions[self._sources[type(interest)]].pop(interest, None)
        subscription.started.set()

    # --- rounds ----------------------------------------------------------------------------------------------------

    def _hear(self, message: Message) -> None:
        for source, subscriptions in self._subscriptions.items():
            if subscriptions and source.message_type == message["type"]:
                source.hear(message)
                self._turn_to(source)

    def _turn_to(self, source: Source) -> None:
        self._heard.add(source)
        self._wake.set()

    async def _run(self) -> None:
        idle_since = elapsed_clock()
        while len(self) or elapsed_clock() - idle_since < LINGER_SECONDS:
            idle_since = elapsed_clock() if len(self) else idle_since
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _IDLE_SECONDS)
            self._wake.clear()
            await self._round()
            await asyncio.sleep(_GATHER_SECONDS)
        self._task = None
        await self._listener.stop()

    async def _round(self) -> None:
        missed, now = self._listener.missed(), elapsed_clock()
        catches_up = missed.seconds is not None and now >= self._catch_up_at
        looks = [
            _Look(source, list(subscriptions.values()), missed.seconds if catches_up else None)
            for source, subscriptions in self._subscriptions.items()
            if subscriptions and (source in self._heard or catches_up or source.is_due(now))
        ]
        self._heard.clear()
        try:
            for look in looks:
                shown = await self._threads.run(look.run)
                self._hand_out(look, shown)
        except Exception as error:
            if not self._fails:
                self._observer.emit("live.failed", error=repr(error))
            self._fails = True
            self._heard.update(look.source for look in looks)
            await asyncio.sleep(_RETRY_SECONDS)
            return
        self._fails = self._fails and not looks
        if catches_up:
            self._catch_up_at = now + _CATCH_UP_SECONDS
            self._listener.caught_up(missed)

    def _hand_out(self, look: _Look, shown: Sequence[tuple[Subscription, Hashable, str | None]]) -> None:
        living = self._subscriptions[look.source]
        for subscription, subject, text in shown:
            if subscription.query.interest not in living:
                continue
            if text is None:
                self.close(subscription)
                subscription.end()
            else:
                subscription.last = text
                subscription.deliver(subject, text)
        for subscription in look.subscriptions:
            subscription.started.set()


@dataclass(frozen=True)
class _Look:
    """What one source is asked in one round."""

    source: Source
    subscriptions: Sequence[Subscription]
    missed_seconds: float | None

    def run(self) -> list[tuple[Subscription, Hashable, str | None]]:
        """Whom to show which text, in order; a text of None ends the subscription."""
        return list(self._shown())

    def _shown(self) -> Iterator[tuple[Subscription, Hashable, str | None]]:
        by_interest = {subscription.query.interest: subscription for subscription in self.subscriptions}
        for news in self.source.look(list(by_interest), self.missed_seconds):
            for subscription, text in _texts(news, [by_interest[interest] for interest in news.interests]):
                if news.repeats or text != subscription.last:
                    yield subscription, news.subject, text


def _texts(news: News, subscriptions: Sequence[Subscription]) -> Iterator[tuple[Subscription, str | None]]:
    if news.root is None:
        yield from ((subscription, None) for subscription in subscriptions)
        return
    alike: dict[Any, list[Subscription]] = defaultdict(list)
    for subscription in subscriptions:
        alike[subscription.query.key].append(subscription)
    for group in alike.values():
        text = json_text(group[0].query.show(news.root))
        yield from ((subscription, text) for subscription in group)
