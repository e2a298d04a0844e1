"""What transactions of tests have written, and an error for them."""

from __future__ import annotations

from django.db import InterfaceError

from tasks.models import Queue


def queues() -> list[str]:
    """The names of the queues that a test has made."""
    return sorted(Queue.objects.exclude(name="default").values_list("name", flat=True))


def raising(*_: object) -> None:
    """A call that the connection does not survive."""
    raise InterfaceError(0, "")
