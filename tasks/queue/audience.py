"""Whether anybody listens to the events of tasks, as Redis has said of late: events cost nothing while nobody does.

The answer comes with what is asked of Redis anyway. That somebody listens may prove wrong, which costs a message to nobody.
That nobody does is believed for a moment only, and a new listener waits for longer than that before it relies on being told.
"""

from __future__ import annotations

from collections.abc import Callable

from dtq_site.foundation.clock import elapsed_clock

BELIEVED_SECONDS = 0.05
"""For how long after the question was sent its answer is believed."""


class Audience:
    """What this process knows of the listeners."""

    def __init__(self, clock: Callable[[], float] = elapsed_clock) -> None:
        self._clock = clock
        self._absent_until = float("-inf")

    def note(self, asked_at: float, listeners: int) -> None:
        """Take Redis's answer to a question that was sent at `asked_at`, by the elapsed clock."""
        self._absent_until = float("-inf") if listeners else asked_at + BELIEVED_SECONDS

    @property
    def is_absent(self) -> bool:
        """Whether certainly nobody listened a moment ago."""
        return self._clock() < self._absent_until
