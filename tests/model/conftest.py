"""The world of the model: rows that are committed, and a Redis of the run. Django is not up yet here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis


@pytest.fixture
def world(committed_db: None, redis_server: Redis) -> Iterator[Any]:
    """The product, with its clocks and its faults in the hands of the test."""
    from tests.model.world import World

    with pytest.MonkeyPatch.context() as patch:
        yield World(patch)
