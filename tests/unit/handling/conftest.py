"""Every test here has a registry and a port of its own."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tasks.handling import port, registry
from tasks.handling.port import EnqueueRequest


@pytest.fixture(autouse=True)
def empty_registry(monkeypatch):
    monkeypatch.setattr(registry, "_handlers", {})


@pytest.fixture(autouse=True)
def unfilled_port(monkeypatch):
    monkeypatch.setattr(port, "_filled", [])


@pytest.fixture
def submitted() -> list[list[EnqueueRequest]]:
    """What went through the port, one list for each call; the tasks made are called task-0, task-1 and so on."""
    calls: list[list[EnqueueRequest]] = []

    def submit(requests: Sequence[EnqueueRequest]) -> list[str]:
        calls.append(list(requests))
        return [f"task-{index}" for index in range(len(requests))]

    port.fill(submit)
    return calls
