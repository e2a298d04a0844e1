"""A task that was asked for by somebody who may be cut off."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RequestedTask:
    """What there is to know of it at once. `id` and `status` are None while the request waits on this host's disk.

    The key names it then: the same request with the same key is the same task.
    """

    name: str
    idempotency_key: str
    id: str | None = None
    status: str | None = None
