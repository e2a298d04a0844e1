"""Named events of the runtime; logs, metrics and tests listen to the same ones.

The code that does the work says what happened (`observer.emit("task.completed", task=…)`) and does not know who listens.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping
from typing import Any, Protocol


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that happened: a dotted name and its facts."""

    name: str
    facts: Mapping[str, Any]


class Listener(Protocol):
    """Whoever is told."""

    def wants(self, name: str) -> bool:
        """Whether events of that name are of any use now."""

    def __call__(self, event: Event) -> None:
        """Take an event that is wanted. Must not fail."""


class Observer:
    """Hands every event to every listener that wants it, on the thread on which it happened."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners

    def hears(self, name: str) -> bool:
        """Whether anybody wants events of that name: to ask before the facts of thousands are gathered."""
        return any(listener.wants(name) for listener in self._listeners)

    def emit(self, name: str, /, **facts: Any) -> None:
        """Tell all listeners that `name` happened. A listener's exception reaches the caller."""
        event = Event(name, facts)
        for listener in self._listeners:
            if listener.wants(name):
                listener(event)


class Recorder:
    """A listener that keeps events and lets a thread wait for one."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = threading.Condition()

    def wants(self, name: str) -> bool:
        """Everything."""
        return True

    def __call__(self, event: Event) -> None:
        """Keep the event."""
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def named(self, name: str) -> list[Event]:
        """The events of that name so far."""
        return [event for event in self.events if event.name == name]

    def wait_for(self, name: str, *, count: int = 1, timeout_seconds: float = 10.0) -> list[Event]:
        """Wait until `name` happened `count` times; raises TimeoutError, listing what happened instead."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.named(name)) >= count, timeout_seconds):
                raise TimeoutError(f"{name} x{count} did not happen; seen: {[event.name for event in self.events]}")
            return self.named(name)
