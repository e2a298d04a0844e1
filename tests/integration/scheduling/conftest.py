"""Each test has rows that are committed, an empty Redis, and a process that remembers nothing. Django is not up yet here."""

from __future__ import annotations

import pytest
from redis import Redis


@pytest.fixture(autouse=True)
def fresh(committed_db: None, redis_server: Redis) -> None:
    """Forget what earlier tests left in this process."""
    from tests.support.factories import forget_what_processes_remember

    forget_what_processes_remember()


@pytest.fixture
def elapsed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The machine's clock as the promoter reads it, which stands still but for what a test adds."""
    from scheduling.duties import promoter

    reading = [0.0]
    monkeypatch.setattr(promoter, "elapsed_clock", lambda: reading[0])
    return reading
