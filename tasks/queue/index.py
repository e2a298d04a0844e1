"""What any dispatch index must do. Both implementations pass the same contract suite."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, order=True)
class Hint:
    """Word that a task is ready: where it stands (`queue`, handler `name`) and how far in front (`rank`)."""

    rank: int
    id: UUID
    queue: str
    name: str


class IndexLost(Exception):
    """The index is not whole or not reachable: what it lacks is no sign that there is no work."""


class DispatchIndex(Protocol):
    """Which tasks are ready, in order of rank, then id."""

    def add(self, hints: Sequence[Hint]) -> None:
        """Make tasks known as ready and wake an idle worker for them. Adding again changes nothing."""

    def take(self, queue: str, names: Collection[str], limit: int) -> list[Hint]:
        """The first `limit` ready tasks of the queue that have one of the handler names, in order.

        What is taken is nobody else's until it is confirmed or the visibility timeout ends. Raises IndexLost.
        """

    def confirm(self, hints: Sequence[Hint]) -> None:
        """Forget what was taken: the rows now tell where it went."""

    def drop(self, hints: Sequence[Hint]) -> None:
        """Forget tasks that are no longer ready."""

    def depth(self, queue: str) -> int:
        """How many tasks are ready in the queue."""

    def wait(self, queues: Collection[str] | None, names: Collection[str], timeout_seconds: float) -> str | None:
        """Wait until a task of these queues, None being all, and names is added, a few seconds at most.

        Returns its queue, or None if none was heard of.
        """
