"""The way from `.enqueue()` to whatever creates tasks in this process.

A handler module knows neither Django nor the network. Whoever can create tasks fills the port at start: `tasks/apps.py`
on a server, the runtime on a remote worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dtq_site.foundation.errors import Unavailable
from tasks.handling.errors import NotConnected


@dataclass(frozen=True, slots=True)
class EnqueueRequest:
    """One task to create. None leaves the choice to the handler's declaration or the settings.

    `priority` may be a level's name. `depends_on` has tasks, their ids, or the `key` of other requests of the same call. The one
    that creates the task checks the values.
    """

    name: str
    payload: dict[str, Any]
    queue: str | None = None
    priority: int | str | None = None
    delay_seconds: float | None = None
    scheduled_at: datetime | None = None
    idempotency_key: str | None = None
    max_retries: int | None = None
    timeout_seconds: float | None = None
    depends_on: Sequence[Any] = ()
    on_dependency_failure: str | None = None
    when_lost: str | None = None
    key: str | None = None

    def __post_init__(self) -> None:
        if self.depends_on:
            object.__setattr__(self, "depends_on", tuple(map(_id_of, self.depends_on)))


def _id_of(task: Any) -> str:
    """The id of a task, or what names it by itself. Raises Unavailable."""
    id_ = getattr(task, "id", task)
    if id_ is None:
        raise Unavailable(
            "The task that it is to depend on has no id yet: the server is away. Put both into one chain or group."
        )
    return str(id_)


Submit = Callable[[Sequence[EnqueueRequest]], list[Any]]

_filled: list[Submit] = []
_submitting: ContextVar[Submit | None] = ContextVar("submitting", default=None)


def fill(submit: Submit) -> None:
    """Let `submit` create the tasks of this process from now on, in place of an earlier one.

    `submit` gets at least one request, creates all or none, and returns the tasks in the order of the requests. It is
    called on the caller's thread, inside the caller's transaction if there is one.
    """
    _filled[:] = [submit]


@contextmanager
def submitting(submit: Submit) -> Iterator[None]:
    """Within the block and its context, let `submit` create tasks: those of a running handler belong to its task's team."""
    token = _submitting.set(submit)
    try:
        yield
    finally:
        _submitting.reset(token)


def submit(requests: Sequence[EnqueueRequest]) -> list[Any]:
    """Create the tasks and return them in order. Raises NotConnected if nothing fills the port."""
    chosen = _submitting.get() or (_filled[0] if _filled else None)
    if chosen is None:
        raise NotConnected()
    return chosen(requests) if requests else []
