"""What is executed: the task's row, its lifecycle, the queue engine, its events, and the handlers that do the work.

This module is the public API for handler modules and re-exports it, nothing else; it imports no Django, so the same
handler module serves a remote worker. May import `accounts` and the floor. Start at `domain/states.py`, then
`lifecycle/`; for handlers at `handling/registry.py`.
"""

from tasks.handling.context import TaskContext
from tasks.handling.errors import Discard, LockUnavailable, PayloadMismatch, Retry, TaskCancelled, TimeLimitExceeded
from tasks.handling.registry import task
from tasks.handling.workflow import chain, group

__all__ = [
    "Discard",
    "LockUnavailable",
    "PayloadMismatch",
    "Retry",
    "TaskCancelled",
    "TaskContext",
    "TimeLimitExceeded",
    "chain",
    "group",
    "task",
]
