"""Tells subscribers, through the channel layer, which tasks have changed: after the commit, in batches, while anybody listens.

An event names tasks and no states: whoever listens reads the rows, so it cannot show what a query would miss. One that is
lost shows nothing wrong either; who must not miss it looks at the rows from time to time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any
from uuid import UUID

from channels.layers import get_channel_layer
from django.db import transaction

from tasks.queue.dispatch import redis_index

TYPE = "tasks.changed"
_ID_BYTES = 16


class Change(StrEnum):
    """What happened to tasks."""

    CREATED = "created"
    MOVED = "moved"
    """They have entered another state, or the same one anew."""
    UPDATED = "updated"
    """Something else that an observer should see."""


def publish_after_commit(change: Change, task_ids: Sequence[UUID]) -> None:
    """Tell who listens once this transaction has committed, or now if there is none; never fails its caller."""
    if task_ids:
        transaction.on_commit(lambda: _publish(change, task_ids), robust=True)


def _publish(change: Change, task_ids: Sequence[UUID]) -> None:
    index = redis_index()
    if not index.audience.is_absent:
        ids = b"".join([task_id.bytes for task_id in task_ids])
        index.publish(get_channel_layer().serialize({"type": TYPE, "change": str(change), "ids": ids}))


def read(message: Mapping[str, Any]) -> tuple[Change, list[UUID]]:
    """What a message of that TYPE says."""
    ids = message["ids"]
    return Change(message["change"]), [
        UUID(bytes=ids[start : start + _ID_BYTES]) for start in range(0, len(ids), _ID_BYTES)
    ]
