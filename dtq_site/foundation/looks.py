"""Looks at what may hang, such as a server that accepts connections and says nothing: whoever looks need not wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from dtq_site.foundation.clock import elapsed_clock

Seen = TypeVar("Seen")

COSTLY_SECONDS = 0.05
"""What took longer to see is shown for a while."""

_REST = 4


class Look(Generic[Seen]):
    """A call that is made on a thread of its own.

    Whoever asks while it goes on shares what comes of it: however many ask what hangs, one thread hangs with it. What was
    costly to see is shown for four times as long as that took, so that those who ask without end keep nobody busy all the time.
    """

    def __init__(self, call: Callable[[], Seen], *, clock: Callable[[], float] = elapsed_clock) -> None:
        self._call, self._clock = call, clock
        self._lock = threading.Lock()
        self._present: Future[Seen] | None = None
        self._good_until = 0.0

    def begin(self) -> Future[Seen]:
        """Begin to look, or join who is at it; the future has what the call returns or raises."""
        with self._lock:
            if self._present is None or (self._present.done() and self._clock() >= self._good_until):
                self._present = Future()
                threading.Thread(target=self._look, args=(self._present,), name="look", daemon=True).start()
            return self._present

    def _look(self, present: Future[Seen]) -> None:
        begun = self._clock()
        try:
            seen = self._call()
        except Exception as error:
            present.set_exception(error)
        else:
            ended = self._clock()
            self._good_until = ended + _REST * (ended - begun) if ended - begun > COSTLY_SECONDS else ended
            present.set_result(seen)
