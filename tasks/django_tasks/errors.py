"""What went wrong in an attempt, from the exception to the text on the row, and back to what django.tasks says of it.

The text begins with a line for people and for `failures.gist`; the line begins with the exception's module path, by which
`TaskError` names it.
"""

from __future__ import annotations

import re
from traceback import TracebackException

from tasks.django_tasks.api import TaskError
from tasks.handling.errors import Discard, Retry, TaskCancelled, TimeLimitExceeded
from tasks.models import TaskAttempt

_LONGEST_HEADLINE = 300
_WRITTEN = re.compile(r"([\w.<>]+\.\w+): [^\n]*\n\n(.*Traceback .*)", re.DOTALL)


class WorkerLost(Exception):
    """The worker that ran the attempt died, or vanished."""


_KINDS: dict[str, type[BaseException]] = {"lost": WorkerLost, "discarded": Discard, "failed": Retry}
ENDINGS = tuple(_KINDS)
"""How attempts end of which an error is told. A report that came too late ended none."""


def path_of(kind: type[BaseException]) -> str:
    """The module path of an exception's class."""
    return f"{kind.__module__}.{kind.__qualname__}"


def task_error(error: BaseException) -> TaskError:
    """What django.tasks says of an exception that was raised."""
    text = "".join(TracebackException.from_exception(error).format())
    return TaskError(exception_class_path=path_of(type(error)), traceback=text)


def written(error: BaseException) -> str:
    """The text of an exception for the row, from which `read` makes the same TaskError."""
    said = task_error(error)
    headline = " ".join(str(TracebackException.from_exception(error)).split())
    return f"{said.exception_class_path}: {headline[:_LONGEST_HEADLINE]}\n\n{said.traceback}"


def read(ending: TaskAttempt) -> TaskError:
    """What is said of an attempt that did not complete."""
    if found := _WRITTEN.fullmatch(ending.error):
        path, trace = found.groups()
        return TaskError(exception_class_path=path, traceback=trace)
    kind = _KINDS[ending.ending]
    if ending.error.startswith(TimeLimitExceeded.__name__):
        kind = TimeLimitExceeded
    return TaskError(exception_class_path=path_of(kind), traceback=ending.error)


def cancelled(reason: str) -> TaskError:
    """What is said of a task that was cancelled."""
    return TaskError(exception_class_path=path_of(TaskCancelled), traceback=reason or "The task was cancelled.")
