"""Rows that are committed, an empty Redis, a process that remembers nothing, and workers that know the app `shop`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from tests.support.processes import Process, Processes


@pytest.fixture(autouse=True)
def fresh(committed_db: None, redis_server: Redis, settings: Any) -> None:
    """Forget what earlier tests left in this process, and have the back ends of `shop_settings.py`."""
    from tests.support.factories import forget_what_processes_remember

    settings.TASKS = {**settings.TASKS, "patient": {**settings.TASKS["default"], "OPTIONS": {"max_retries": 1}}}
    forget_what_processes_remember()


@pytest.fixture
def shop() -> Any:
    """The tasks of the app, which this process has imported."""
    from tests.integration.django_tasks.shop import tasks

    return tasks


@pytest.fixture
def start_worker(processes: Processes) -> Callable[..., Process]:
    """Start a worker that has the app `shop` installed, with a lease of three seconds, ready to claim."""

    def start() -> Process:
        settings = "tests.integration.django_tasks.shop_settings"
        worker = processes.manage("runworker", DJANGO_SETTINGS_MODULE=settings, DTQ_LEASE="3s")
        worker.wait_for("worker.ready")
        return worker

    return start
