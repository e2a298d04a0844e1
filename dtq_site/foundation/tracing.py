"""Where spans begin and end, for whoever gathers them: nobody, unless the process was told by `trace_with` who does.

Nothing here knows who that is. While nobody gathers, a span costs a look at a variable. A tracer is made when a process needs it
first, and not by its parent: it has threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class Kind(StrEnum):
    """What part of a conversation a span is."""

    SERVER = "SERVER"
    PRODUCER = "PRODUCER"
    CONSUMER = "CONSUMER"


@dataclass(frozen=True, slots=True)
class Description:
    """What a span says of the work in it. `parent` is the span of another process, as W3C Trace Context writes it."""

    name: str
    kind: Kind
    attributes: Mapping[str, Any] = field(default_factory=dict)
    parent: str | None = None


class Span(Protocol):
    """A span that goes on."""

    def note(self, attributes: Mapping[str, Any]) -> None:
        """Say more of the work."""

    def fail(self, kind: str) -> None:
        """Say that the work has failed, and how; messages are left out, for they quote what is nobody's business."""


class Tracer(Protocol):
    """Who gathers spans."""

    def span(self, description: Description) -> AbstractContextManager[Span]:
        """A span for as long as the block."""

    def traceparent(self) -> str | None:
        """The span in which the caller is, as W3C Trace Context writes it."""

    def flush(self) -> None:
        """Hand over what has been gathered, within a few seconds or not at all."""


class _Untraced:
    def note(self, attributes: Mapping[str, Any]) -> None: ...

    def fail(self, kind: str) -> None: ...


UNTRACED: AbstractContextManager[Span] = nullcontext(_Untraced())
"""Of what nobody gathers a span."""

_lock = threading.Lock()
_make: Callable[[], Tracer] | None = None
_tracer: Tracer | None = None


def trace_with(make: Callable[[], Tracer]) -> None:
    """Let what `make` returns gather the spans of this process and of those that it forks, each with one of its own."""
    global _make
    _make = make


def span(describe: Callable[[], Description]) -> AbstractContextManager[Span]:
    """A span for as long as the block; it is described if somebody gathers it."""
    return UNTRACED if _make is None else _the_tracer(_make).span(describe())


def traceparent() -> str | None:
    """The span in which the caller is, as W3C Trace Context writes it; None if nobody gathers spans."""
    return None if _make is None else _the_tracer(_make).traceparent()


def flush() -> None:
    """Before the process ends: hand over what has been gathered."""
    if _tracer is not None:
        _tracer.flush()


def _the_tracer(make: Callable[[], Tracer]) -> Tracer:
    global _tracer
    if _tracer is None:
        with _lock:
            _tracer = _tracer or make()
    return _tracer
