"""Both dispatch indexes, each with an empty Redis and the rows of its own test. Django is not up yet when this is imported."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis


@pytest.fixture(params=["redis", "database"])
def index(request: pytest.FixtureRequest, committed_db: None, redis_server: Redis) -> Any:
    """An empty index that is whole, of the queues ``default`` and ``other``."""
    from tasks.queue.database_index import DatabaseIndex
    from tasks.queue.dispatch import redis_index
    from tasks.queue.rebuild import Reconciliation
    from tests.support.factories import forget_what_processes_remember

    forget_what_processes_remember()
    if request.param == "database":
        return DatabaseIndex()
    made = redis_index()
    for queue in ("default", "other"):
        Reconciliation(made, queue).ensure_whole()
    return made
