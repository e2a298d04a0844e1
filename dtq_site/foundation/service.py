"""A process is a group of services: each has one loop on one thread, can be woken and stopped at once.

A test calls `run_once` and needs no thread. A failing round is reported and tried again after a growing pause.
"""

from __future__ import annotations

import threading
import traceback
from abc import ABC, abstractmethod
from collections.abc import Sequence

from dtq_site.foundation.backoff import full_jitter
from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.observer import Observer

_NEVER = float("inf")


class Service(ABC):
    """One loop. Subclasses give it a `name` and `run_once`."""

    name: str

    def __init__(self, observer: Observer) -> None:
        self.observer = observer
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._turns_at = _NEVER

    @abstractmethod
    def run_once(self) -> float:
        """Do one round and return the seconds to sleep before the next; 0 goes on at once."""

    def after_round(self) -> None:  # noqa: B027 (most services borrow nothing)
        """Called on the service's thread after every round; the place to give back what a round borrowed."""

    def at_end(self) -> None:  # noqa: B027 - most have none
        """Called on the service's thread after its last round; the place for a last word."""

    def start(self) -> None:
        """Start the loop on a thread of its own."""
        self._turns_at = elapsed_clock()
        self._thread = threading.Thread(target=self._loop, name=self.name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """End the present sleep."""
        if not self._wake.is_set():  # which is far cheaper than to set it: some are woken thousands of times a second
            self._wake.set()

    def stop(self) -> None:
        """Ask the loop to end after its present round; returns at once."""
        self._stopping.set()
        self._wake.set()

    def join(self, timeout_seconds: float | None = None) -> bool:
        """Wait for the loop to end; True if it has."""
        if self._thread is not None:
            self._thread.join(timeout_seconds)
            return not self._thread.is_alive()
        return True

    @property
    def late_seconds(self) -> float:
        """For how long the present round has been going on, or the next one has been due; not positive if neither is so."""
        return elapsed_clock() - self._turns_at

    @property
    def stopping(self) -> bool:
        """Whether the loop was asked to end."""
        return self._stopping.is_set()

    def _loop(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            self._wake.clear()
            self._turns_at = elapsed_clock()
            try:
                try:
                    pause = self.run_once()
                finally:
                    self.after_round()
                failures = 0
            except Exception as error:
                failures += 1
                pause = 0.1 + full_jitter(failures, base_seconds=0.2, cap_seconds=5.0)
                self.observer.emit(
                    "service.failed",
                    service=self.name,
                    error=repr(error),
                    failures=failures,
                    trace=traceback.format_exc(),
                )
            if pause > 0 and not self._stopping.is_set():
                self._turns_at = elapsed_clock() + pause
                self._wake.wait(pause)
        self._turns_at = _NEVER
        try:
            self.at_end()
        except Exception as error:
            self.observer.emit("service.failed", service=self.name, error=repr(error), failures=1, trace="")


class ServiceGroup:
    """Services that start together and stop one after the other, in the order given."""

    def __init__(self, services: Sequence[Service]) -> None:
        self._services = services

    def start(self) -> None:
        """Start all."""
        for service in self._services:
            service.start()

    def stop(self, timeout_seconds: float) -> list[str]:
        """Stop each in turn, waiting up to `timeout_seconds` for each; returns the names of those that did not end."""
        stuck = []
        for service in self._services:
            service.stop()
            if not service.join(timeout_seconds):
                stuck.append(service.name)
        return stuck
