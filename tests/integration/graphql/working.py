"""What the tests of the operations for workers share: requests in this process, and leases that end when a test says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from accounts.identity import Identity, WorkerGrant
from dtq_site.foundation.database import database_clock
from tasks import lifecycle
from tasks.models import Task
from tests.integration.graphql.making import POLICY
from tests.support.api import ask
from tests.support.worker_client import Lease, Refused

NAME = "send-email"


def send_as(identity: Identity) -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    """A way to the API in this process, as that account."""
    return lambda document, variables: ask(document, identity=identity, **variables)


def with_token(identity: Identity, *queues: str) -> Identity:
    """The account, signed in by a worker token for these queues."""
    return replace(identity, grant=WorkerGrant(uuid4(), frozenset(queues)))


def reread(lease: Lease) -> Task:
    """The row as it is now."""
    return Task.objects.get(pk=lease["taskId"])


def expire(lease: Lease) -> None:
    """Let the lease end, and have it reaped."""
    Task.objects.filter(pk=lease["taskId"]).update(lease_expires_at=database_clock.now() - timedelta(seconds=1))
    lifecycle.reap(POLICY, lambda: 0.0, database_clock.now())


def refused(call: Callable[[], Any]) -> tuple[str, str | None]:
    """Code and field of the refusal of what must be refused."""
    with pytest.raises(Refused) as refusal:
        call()
    return refusal.value.code, refusal.value.field
