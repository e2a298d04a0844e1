"""Signs the worker on, says every few seconds that it lives, and signs it off."""

from __future__ import annotations

from contextlib import suppress

from dtq_site.foundation.backoff import full_jitter
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.service import Service
from workers.domain.card import WorkerCard
from workers.transports.base import Transport, Unreachable

PERIOD_SECONDS = 5.0


class Heartbeat(Service):
    """Beats until it is stopped; as its last act it signs off, if `signs_off` says so."""

    name = "heartbeat"

    def __init__(self, observer: Observer, transport: Transport, card: WorkerCard) -> None:
        super().__init__(observer)
        self._transport = transport
        self._card = card
        self._signed_on = False
        self._failures = 0
        self.draining = False
        self.signs_off = True

    def run_once(self) -> float:
        """Sign on, or beat once."""
        try:
            if self._signed_on:
                self._transport.heartbeat(self.draining)
            else:
                self._sign_on()
        except Unreachable as error:
            self._failures += 1
            pause = full_jitter(self._failures, base_seconds=0.5, cap_seconds=PERIOD_SECONDS)
            if not self._signed_on:
                self.observer.emit(
                    "server.unreachable", during="sign-on", error=str(error), again_in_seconds=round(pause, 2)
                )
            return pause
        self._failures = 0
        return PERIOD_SECONDS

    def _sign_on(self) -> None:
        self._transport.sign_on(self._card)
        self._signed_on = True
        self.observer.emit(
            "worker.ready",
            worker=self._card.name,
            slots=self._card.concurrency,
            queues=",".join(self._card.queues) or "all",
            handlers=",".join(sorted(self._card.handlers)),
        )

    def after_round(self) -> None:
        """Let the transport tidy up."""
        self._transport.after_work()

    def at_end(self) -> None:
        """Sign off; a worker that cannot will be found silent."""
        if self._signed_on and self.signs_off:
            with suppress(Unreachable):
                self._transport.sign_off()
