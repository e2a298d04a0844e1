"""Whether the database answers this process. All services share one, so that an outage is told once and its end once."""

from __future__ import annotations

import threading
from collections.abc import Callable

from django.db import Error

from dtq_site.foundation.connections import is_unavailable
from dtq_site.foundation.observer import Observer

AGAIN_SECONDS = 1.0


class Reachability:
    """Takes an outage of the database for what it is: no defect of whoever happens to ask."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._lock = threading.Lock()
        self._reachable = True

    def attempt(self, work: Callable[[], float]) -> float:
        """Do `work`, which returns the seconds to rest; if the database is away, return the seconds until the next try."""
        try:
            rest = work()
        except Error as error:
            if not is_unavailable(error):
                raise
            if self._turned(reachable=False):
                self._observer.emit("server.unreachable", error=str(error), again_in_seconds=AGAIN_SECONDS)
            return AGAIN_SECONDS
        if self._turned(reachable=True):
            self._observer.emit("server.reachable")
        return rest

    def _turned(self, *, reachable: bool) -> bool:
        with self._lock:
            turned, self._reachable = self._reachable is not reachable, reachable
        return turned
