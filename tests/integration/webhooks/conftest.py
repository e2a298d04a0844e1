"""Each test has committed rows, an empty Redis, a process that remembers nothing, a receiver, and leave to call it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from pytest_django import Settings
from redis import Redis

from tests.integration.handlers.conftest import WebServer, serve


@pytest.fixture(autouse=True)
def fresh(committed_db: None, redis_server: Redis) -> Iterator[None]:
    """Forget what earlier tests left in this process, and leave it nothing of ours."""
    from tests.support.factories import forget_what_processes_remember

    forget_what_processes_remember()
    yield
    forget_what_processes_remember()


@pytest.fixture
def private_allowed(settings: Settings) -> None:
    """Let webhooks call this machine."""
    settings.DTQ_TASKS = dataclasses.replace(settings.DTQ_TASKS, allow_private_addresses=True)


@pytest.fixture
def receiver(private_allowed: None) -> Iterator[WebServer]:
    """A server on this machine that webhooks may call."""
    yield from serve()
