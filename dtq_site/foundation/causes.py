"""On whose behalf this thread works: a request's, or a task's. Lines of the log bear it, and tasks that are made meanwhile.

A task pays for that with a variable that is set: what a line says of its cause is asked for when the line is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import Any, Protocol


class Cause(Protocol):
    """What makes this thread do what it does."""

    @property
    def request_id(self) -> str | None:
        """The id of the request by which it all began, if it was one."""

    def facts(self) -> Mapping[str, Any]:
        """What lines of the log say of it."""


@dataclass(frozen=True, slots=True)
class RequestCause:
    """A request to the API or to a page; `more` is what is found out about it on the way."""

    request_id: str
    more: dict[str, Any] = field(default_factory=dict)

    def facts(self) -> Mapping[str, Any]:
        """Its id, and the rest."""
        return {"request_id": self.request_id, **self.more}


_current: ContextVar[Cause | None] = ContextVar("cause", default=None)


def current() -> Cause | None:
    """What this thread works for, if that is known."""
    return _current.get()


def request_id() -> str | None:
    """The id of the request by which it all began, if that is known."""
    cause = _current.get()
    return None if cause is None else cause.request_id


def found_out(**facts: Any) -> None:
    """Have the lines of the present request, if this is one, say that from now on."""
    cause = _current.get()
    if isinstance(cause, RequestCause):
        cause.more.update(facts)


class ActingFor:
    """Within the block, and in what copies its context, work is done for that cause."""

    __slots__ = ("_cause", "_token")

    _token: Token[Cause | None]

    def __init__(self, cause: Cause) -> None:
        self._cause = cause

    def __enter__(self) -> None:
        self._token = _current.set(self._cause)

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)
