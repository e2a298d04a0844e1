"""Each test has rows that are committed, an empty Redis, and a process that remembers nothing. Django is not up yet here."""

from __future__ import annotations

import pytest
from redis import Redis


@pytest.fixture(autouse=True)
def fresh(committed_db: None, redis_server: Redis) -> None:
    """Forget what earlier tests left in this process."""
    from tests.support.factories import forget_what_processes_remember

    forget_what_processes_remember()
