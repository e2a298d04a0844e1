"""What subscribers are to be shown, and whoever finds it out: the meeting point of the apps' sources and the API's hub."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class News:
    """Something that some subscribers are to be shown.

    Of the same `subject` only the newest need reach a client. A `root` of None says that there is nothing more to come.
    With `repeats` False a subscriber is spared what looks like the last that it was shown.
    """

    subject: Hashable
    root: Any
    interests: Sequence[Any]
    repeats: bool = True


class Source(Protocol):
    """Finds out what is new for subscribers of one kind. What each of them wants is its interest, an object of its own."""

    message_type: str | None
    """The type of the messages that it wants to hear."""

    def hear(self, message: Mapping[str, Any]) -> None:
        """Take a message; on the event loop, so it must be quick."""

    def is_due(self, now: float) -> bool:
        """Whether to look although nothing was heard; `now` is of the elapsed clock."""

    def look(self, interests: Sequence[Any], missed_seconds: float | None) -> Iterable[News]:
        """What is new for these interests. Runs on a thread with a database connection, never twice at once.

        `missed_seconds` says that messages may have been lost, and for how long. If it raises, what was heard is kept for
        the next time.
        """
