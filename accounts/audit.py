"""The audit log: which operator did what, when, and to what. The only writer of its rows, which nothing changes
afterwards; they go when they are old.

`record` is called in the transaction of what it tells of, so neither stands without the other; once that is committed the
log has a line of it too. An action is a thing and what was done to it ("queue.paused"); a target is a kind and an id
("queue:mail"). Facts are what one needs to know to judge or to undo it, and never a secret or a payload. The id of the request
leads to the lines of the log that it left.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction

from accounts.identity import Identity
from accounts.models import AuditEntry
from dtq_site.foundation import causes
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.logging import log_events
from dtq_site.foundation.observer import Observer

_observer = Observer(log_events("dtq.audit"))


def record(actor: Identity | None, action: str, target: str, facts: Mapping[str, Any] | None = None) -> None:
    """Note what `actor` did; None is nobody who has signed in, such as a command on the server."""
    entry = AuditEntry.objects.create(
        at=database_clock.now(),
        actor_id=actor.user_id if actor else None,
        actor=actor.username if actor else "",
        action=action,
        request_id=causes.request_id() or "",
        target=target,
        facts=dict(facts or {}),
    )
    tell = partial(_observer.emit, action, actor=entry.actor, target=target, facts=entry.facts)
    transaction.on_commit(tell, robust=True)


def forget(before: datetime, limit: int) -> int:
    """Remove the oldest entries, a chunk of those from before a moment; returns how many."""
    old = [key for key, at in AuditEntry.objects.order_by("pk").values_list("pk", "at")[:limit] if at < before]
    AuditEntry.objects.filter(pk__in=old).delete()
    return len(old)
