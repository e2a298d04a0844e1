"""Each test has rows that are committed, an empty Redis, and a process that remembers nothing. Django is not up yet here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from redis import Redis

if TYPE_CHECKING:
    from tasks.queue.redis_index import RedisIndex


@pytest.fixture(autouse=True)
def fresh(committed_db: None, redis_server: Redis) -> None:
    """Forget what earlier tests left in this process."""
    from tests.support.factories import forget_what_processes_remember

    forget_what_processes_remember()


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Declares the handler "job", which takes an account, with these limits or this lock."""
    from tasks.handling import registry

    monkeypatch.setattr(registry, "_handlers", {})

    def declare(**said: object) -> None:
        @registry.task("job", **said)
        def job(account: str = "") -> None: ...

    return declare


@pytest.fixture
def index(redis_server: Redis) -> RedisIndex:
    """An empty index whose queue `default` is whole."""
    from django.conf import settings

    from tasks.queue.dispatch import index_at
    from tests.integration.tasks.indexing import mark_whole

    made = index_at(settings.REDIS_URL)
    mark_whole(made)
    return made


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of three rows."""
    from tasks.queue import rebuild

    monkeypatch.setattr(rebuild, "PAGE", 3)
