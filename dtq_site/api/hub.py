"""All subscriptions of this process: what happened is read once for all of them, and each is shown its own selection of it.

One loop, a round at a time: it is woken by messages, asks the sources on a thread what is new, executes the selections there,
those of the same key once, and hands the texts out as they are made. Every round reads committed rows after the round before it
has, so no subscription is ever shown an older state after a newer one. Accounts take turns, see `turns.py`.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from typing import Any

from dtq_site.api.listener import Listener, Message
from dtq_site.api.live_query import LiveQuery
from dtq_site.api.protocol import json_text
from dtq_site.api.threads import RequestThreads
from dtq_site.api.turns import SLICE_SECONDS, Show, Turns
from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.news import Source
from dtq_site.foundation.observer import Observer

LINGER_SECONDS = 10.0
"""How long to go on listening when nobody subscribes any more."""

_GATHER_SECONDS = 0.01
"""How long messages are gathered after a round: a hundred rounds a second are enough."""

_IDLE_SECONDS = 0.25
_CATCH_UP_SECONDS = _RETRY_SECONDS = 1.0
_START_SECONDS = 1.0
_PILE = 1024 * 1024
"""How long the texts that are handed out together may be."""


@dataclass(eq=False)
class Subscription:
    """One subscription of one client. `deliver` is called on the event loop with the subject and the payload's JSON.

    So is `end` when there is nothing more to come, and `give_up` when its account is shown more than can be made. Of the last
    text it keeps the digest, where one that looks the same is not repeated.
    """

    query: LiveQuery
    deliver: Callable[[Hashable, str], None]
    end: Callable[[], None]
    give_up: Callable[[], None]
    started: asyncio.Event = field(default_factory=asyncio.Event)
    last: bytes | None = None


@dataclass(frozen=True)
class _Text:
    """What some subscriptions are shown of a subject; a text of None ends them."""

    subscriptions: Sequence[Subscription]
    subject: Hashable
    text: str | None


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
        self._turns = Turns()

    def __len__(self) -> int:
        return sum(map(len, self._subscriptions.values()))

    async def open(self, subscription: Subscription) -> None:
        """Have it fed; from the moment this returns no later commit is missed, unless the database is away."""
        self._listener.start()
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())
        await self._listener.ready(_START_SECONDS)
        source = self._source_of(subscription)
        self._subscriptions[source][subscription.query.interest] = subscription
        self._turn_to(source)
        await subscription.started.wait()

    def close(self, subscription: Subscription) -> None:
        """Feed it no more. It may have ended already."""
        self._subscriptions[self._source_of(subscription)].pop(subscription.query.interest, None)
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
            if self._turns:
                self._wake.set()
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
        self._turns.begin()
        try:
            for look in looks:
                await self._show(partial(self._news_of, look))
                for subscription in look.subscriptions:
                    subscription.started.set()
            if self._turns:
                await self._show(self._late)
                self._give_up()
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

    def _give_up(self) -> None:
        for show in self._turns.given_up():
            for subscription in self._living(show.subscriptions):
                self.close(subscription)
                subscription.give_up()

    def _living(self, subscriptions: Iterable[Subscription]) -> list[Subscription]:
        """Those of them that have not been closed."""
        return [each for each in subscriptions if each.query.interest in self._subscriptions[self._source_of(each)]]

    def _source_of(self, subscription: Subscription) -> Source:
        return self._sources[type(subscription.query.interest)]

    async def _show(self, make: Callable[[], Iterator[_Text]]) -> None:
        """Have texts made on a thread; whenever there is much of them they are handed out, so that they do not pile up."""
        loop = asyncio.get_running_loop()

        def run() -> None:
            made, size = [], 0
            try:
                for each in make():
                    made.append(each)
                    size += len(each.text or "")
                    if size >= _PILE:
                        loop.call_soon_threadsafe(self._hand_out, made)
                        made, size = [], 0
            finally:  # what has been made is not made again
                loop.call_soon_threadsafe(self._hand_out, made)

        await self._threads.run(run)

    def _hand_out(self, texts: Sequence[_Text]) -> None:
        for each in texts:
            for subscription in self._living(each.subscriptions):
                if each.text is None:
                    self.close(subscription)
                    subscription.end()
                else:
                    subscription.deliver(each.subject, each.text)

    # --- on a thread -----------------------------------------------------------------------------------------------

    def _news_of(self, look: _Look) -> Iterator[_Text]:
        """What a source has to tell, but for what is late."""
        by_interest = {subscription.query.interest: subscription for subscription in look.subscriptions}
        for news in look.source.look(list(by_interest), look.missed_seconds):
            told = [by_interest[interest] for interest in news.interests]
            if news.root is None:
                yield _Text(told, news.subject, None)
                continue
            alike: dict[Hashable, list[Subscription]] = defaultdict(list)
            for subscription in told:
                alike[subscription.query.key].append(subscription)
            for group in alike.values():
                show = Show(news, group)
                if self._turns.comes_now(show):
                    yield from self._made(show)

    def _late(self) -> Iterator[_Text]:
        ends_at = elapsed_clock() + SLICE_SECONDS
        for show in self._turns.late():
            yield from self._made(show)
            if elapsed_clock() > ends_at:
                break

    def _made(self, show: Show) -> Iterator[_Text]:
        told = self._living(show.subscriptions)
        if not told:
            return
        began = elapsed_clock()
        text = json_text(told[0].query.show(show.news.root))
        if not show.news.repeats:
            digest = blake2b(text.encode(), digest_size=16).digest()
            told = [each for each in told if each.last != digest]
            for each in told:
                each.last = digest
        self._turns.charge(show, elapsed_clock() - began)
        yield _Text(told, show.news.subject, text)


@dataclass(frozen=True)
class _Look:
    """What one source is asked in one round."""

    source: Source
    subscriptions: Sequence[Subscription]
    missed_seconds: float | None
