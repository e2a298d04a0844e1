"""Which task goes first: priorities, their named levels, and the rank that orders a queue."""

from __future__ import annotations

LOWEST, HIGHEST, DEFAULT = -100, 100, 5
LEVELS = {"CRITICAL": 20, "HIGH": 10, "NORMAL": 5, "LOW": 1}
REMEDY = f"use a whole number from {LOWEST} to {HIGHEST} or one of {', '.join(LEVELS)}"

STRICT_WEIGHT = 2**42
"""Milliseconds by which one level of priority goes before age: more than any moment since 1970 has (until 2109)."""


def parse_priority(value: object) -> int:
    """Read an integer, a level's name in any case, or either as text; raises ValueError with a remedy."""
    if isinstance(value, str):
        text = value.strip()
        if text.upper() in LEVELS:
            return LEVELS[text.upper()]
        try:
            value = int(text)
        except ValueError:
            raise ValueError(f"{value!r} is no priority: {REMEDY}") from None
    if isinstance(value, bool) or not isinstance(value, int) or not LOWEST <= value <= HIGHEST:
        raise ValueError(f"{value!r} is no priority: {REMEDY}")
    return value


def level_name(priority: int) -> str:
    """The highest level at or below `priority`; LOW below all of them."""
    return next((name for name, level in LEVELS.items() if level <= priority), "LOW")


def level_ms(ageing_seconds: int | None) -> int:
    """By how many milliseconds one level of priority goes before age in a queue with that ageing; None is strict order."""
    return STRICT_WEIGHT if ageing_seconds is None else ageing_seconds * 1000


def rank(priority: int, ready_ms: int, level_ms: int = STRICT_WEIGHT) -> int:
    """The place of a task in its queue: the lower rank runs first.

    `ready_ms` is the moment at which the task became ready, in milliseconds since 1970. With the strict weight a higher
    priority always goes first, then the earlier moment. With a smaller one a task goes before those of a higher priority that
    became ready later than it by `level_ms` for each level between them. Ranks stay below 2**50, so a double (a Redis score)
    holds them exactly.
    """
    return ready_ms + (HIGHEST - priority) * level_ms
