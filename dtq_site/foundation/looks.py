"""Looks at what may hang, such as a server that accepts connections and says nothing: whoever looks need not wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Seen = TypeVar("Seen")


class Look(Generic[Seen]):
    """A call that is made on a thread of its own.

    Whoever asks while it goes on shares what comes of it: however many ask what hangs, one thread hangs with it.
    """

    def __init__(self, call: Callable[[], Seen]) -> None:
        self._call = call
        self._lock = threading.Lock()
        self._present: Future[Seen] | None = None

    def begin(self) -> Future[Seen]:
        """Begin to look, or join who is at it; the future has what the call returns or raises."""
        with self._lock:
            if self._present is None or self._present.done():
                self._present = Future()
                threading.Thread(target=self._look, args=(self._present,), name="look", daemon=True).start()
            return self._present

    def _look(self, present: Future[Seen]) -> None:
        try:
            seen = self._call()
        except Exception as error:
            present.set_exception(error)
        else:
            present.set_result(seen)
