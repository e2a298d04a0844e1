"""How much load a run puts on, and for how long. Every part is bounded in count or in time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """The numbers of a run; those of this class are what docs/LOAD.md is about."""

    followed: int = 1000
    """Tasks that are created one by one and followed to their end."""

    followers: int = 20
    """Users who do so, half of them by subscription and half by asking again."""

    rush_users: int = 16
    rush_seconds: int = 60
    """How long users create tasks one after another, as fast as they are answered."""

    stored: int = 100_000
    """Tasks that are created in bulk before the steady load."""

    steady_rate: int = 50
    steady_seconds: int = 120

    first_rate: int = 100
    rate_step: int = 25
    last_rate: int = 400
    step_seconds: int = 15

    warming_seconds: int = 3
    """How long users who come all at once take to connect; the steps are judged by what follows."""

    limit_ms: float = 200.0
    """What the 95th percentile of the API's answers must stay under."""


TINY = Scale(
    followed=8,
    followers=2,
    rush_users=2,
    rush_seconds=1,
    stored=20,
    steady_rate=5,
    steady_seconds=2,
    first_rate=5,
    rate_step=5,
    last_rate=5,
    step_seconds=2,
    warming_seconds=0,
    limit_ms=60_000.0,
)
"""To see that all works; its figures mean nothing."""
