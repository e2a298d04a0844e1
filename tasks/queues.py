"""The only writer of queues: they come into being when first used, and can be paused and resumed."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import datetime

from django.conf import settings

from dtq_site.foundation.errors import BadInput, NotFound
from tasks.models import Queue

_known: set[str] = set()
_lock = threading.Lock()


def ensure(names: Iterable[str], now: datetime) -> None:
    """Make sure that a row exists for each queue name. Raises BadInput when there would be too many queues."""
    missing = set(names) - _known
    if not missing:
        return
    found = set(Queue.objects.filter(name__in=missing).values_list("name", flat=True))
    new = missing - found
    if new and Queue.objects.count() + len(new) > settings.DTQ_TASKS.max_queues:
        raise BadInput(f"There are {settings.DTQ_TASKS.max_queues} queues already; use one of them.", field="queue")
    Queue.objects.bulk_create([Queue(name=name, created_at=now) for name in sorted(new)], ignore_conflicts=True)
    with _lock:
        _known.update(found)  # those just made may still be rolled back


def forget_known() -> None:
    """Drop the memory of which queues exist, as after another database took this one's place."""
    with _lock:
        _known.clear()


def pause(name: str) -> Queue:
    """Stop handing out tasks of the queue, everywhere and until it is resumed. Raises NotFound."""
    return _set_paused(name, True)


def resume(name: str) -> Queue:
    """Hand out tasks of the queue again. Raises NotFound."""
    return _set_paused(name, False)


def _set_paused(name: str, paused: bool) -> Queue:
    if not Queue.objects.filter(name=name).update(paused=paused):
        raise NotFound(f"There is no queue named {name!r}.")
    return Queue.objects.get(name=name)
