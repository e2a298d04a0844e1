"""Says every few seconds that this worker lives."""

from __future__ import annotations

from dtq_site.foundation.observer import Observer
from dtq_site.foundation.service import Service
from workers.transports.base import Transport, Unreachable

PERIOD_SECONDS = 5.0


class Heartbeat(Service):
    """Beats until it is stopped, then signs off."""

    name = "heartbeat"

    def __init__(self, observer: Observer, transport: Transport) -> None:
        super().__init__(observer)
        self._transport = transport
        self.draining = False

    def run_once(self) -> float:
        """Beat once."""
        try:
            self._transport.heartbeat(self.draining)
        except Unreachable:
            return 1.0
        return PERIOD_SECONDS

    def after_round(self) -> None:
        """Let the transport tidy up."""
        self._transport.after_work()
