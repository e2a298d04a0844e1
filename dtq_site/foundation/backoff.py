"""Randomness, so that many who do the same do not do it at the same moment.

The waits here are those of our own loops and connections; a task's backoff is in `tasks/domain/retry.py`.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import TypeVar

Item = TypeVar("Item")


def jitter() -> float:
    """A number drawn evenly from 0 to 1."""
    return random.random()


def shuffled(items: Iterable[Item]) -> list[Item]:
    """The items in random order."""
    mixed = list(items)
    random.shuffle(mixed)
    return mixed


def full_jitter(attempt: int, *, base_seconds: float, cap_seconds: float) -> float:
    """Seconds to wait before try number `attempt` + 1, drawn evenly from 0 to the exponential bound.

    Follows "full jitter" of the AWS Architecture Blog, "Exponential Backoff And Jitter" (2015): many clients that failed
    together must not come back together.
    """
    return random.uniform(0, min(cap_seconds, base_seconds * 2 ** min(attempt, 32)))


def spread(seconds: float, share: float = 0.2) -> float:
    """`seconds` made longer by a random part of up to `share`, so that equal periods drift apart."""
    return seconds * (1 + random.uniform(0, share))
