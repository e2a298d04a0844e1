"""Ends, in their own process, the attempts that must end: past their time limit, cancelled, or another worker's by now."""

from __future__ import annotations

from dtq_site.foundation.observer import Observer
from dtq_site.foundation.service import Service
from workers.runtime.attempt import HeldAttempts
from workers.runtime.executor import Executor

TICK_SECONDS = 0.05


class Watch(Service):
    """Looks twenty times a second at what runs. What it cannot end, because a handler does not let it, the keeper ends."""

    name = "watch"

    def __init__(self, observer: Observer, held: HeldAttempts, executor: Executor) -> None:
        super().__init__(observer)
        self._held = held
        self._executor = executor

    def run_once(self) -> float:
        """Interrupt what must end."""
        for attempt in self._held.running():
            if attempt.overdue or attempt.to_end:
                self._executor.interrupt(attempt)
        return TICK_SECONDS
