"""What an attempt ended in, and how its report was taken."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tasks.domain.lease import Lease


class OutcomeKind(StrEnum):
    """How an attempt ended. FAILED may be retried, DISCARDED must not be."""

    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    DISCARDED = "DISCARDED"


@dataclass(frozen=True)
class Outcome:
    """One attempt's end. `result` is any JSON value; `retry_delay_seconds` is the handler's own choice of a wait.

    `locked` says that the attempt took locks or a place under a cap. It only sorts the reports that are dear to settle from the
    others.
    """

    lease: Lease
    kind: OutcomeKind
    run_seconds: float
    result: Any = None
    error: str = ""
    retry_delay_seconds: float | None = None
    locked: bool = False


class OutcomeVerdict(StrEnum):
    """How a report was taken: recorded now, recorded before, or refused because the task is no longer the reporter's."""

    ACCEPTED = "ACCEPTED"
    DUPLICATE = "DUPLICATE"
    STALE_LEASE = "STALE_LEASE"


MAX_ERROR_LENGTH = 8000
MAX_LINE_LENGTH = 4000


def spelled_out(text: str) -> str:
    """The text with half characters, as file names of foreign systems have them, spelled out: no database stores them."""
    return text.encode(errors="backslashreplace").decode()


def shortened(error: str) -> str:
    """The error text as it can be stored: of a long one its beginning and its end, half characters spelled out."""
    error = spelled_out(error)
    if len(error) <= MAX_ERROR_LENGTH:
        return error
    half = MAX_ERROR_LENGTH // 2 - 10
    return f"{error[:half]}\n[…]\n{error[-half:]}"


def clipped(line: str) -> str:
    """The log line as it is kept: of a long one its beginning, half characters spelled out."""
    return spelled_out(line[:MAX_LINE_LENGTH])[:MAX_LINE_LENGTH]
