"""What an attempt ended in: from what the handler returned or raised to an outcome. Pure."""

from __future__ import annotations

import json
from typing import Any

from dtq_site.foundation import strict_json
from tasks.domain.lease import LeasedTask
from tasks.domain.outcome import Outcome, OutcomeKind
from tasks.handling.errors import Discard, PayloadMismatch, Retry, TaskCancelled, TimeLimitExceeded


def judge(
    task: LeasedTask, run_seconds: float, *, result: Any, raised: BaseException | None, to_end: bool
) -> Outcome | None:
    """The outcome of an attempt that returned `result` or `raised`; None if it stopped because it was `to_end`.

    Never raises, though it asks results and exceptions of the handler's own making for their text.
    """

    def ended(kind: OutcomeKind, **more: Any) -> Outcome:
        return Outcome(task.lease, kind, run_seconds, locked=task.lock is not None or task.capped, **more)

    if raised is None and result is None:
        return ended(OutcomeKind.COMPLETED)
    if raised is None:
        try:
            # A copy: what the handler keeps may change before it is stored.
            plain = json.loads(strict_json.encode(result))
        except strict_json.NotJSON as error:
            return ended(OutcomeKind.DISCARDED, error=f"result cannot be stored: {error}")
        except Exception as error:
            return ended(OutcomeKind.DISCARDED, error=f"result cannot be stored: {said(error)}")
        return ended(OutcomeKind.COMPLETED, result=plain)
    if isinstance(raised, TaskCancelled) and to_end:
        return None
    if isinstance(raised, TimeLimitExceeded):
        limit = f"{task.timeout_seconds:g} s"
        return ended(OutcomeKind.FAILED, error=f"TimeLimitExceeded: the attempt ran longer than its limit of {limit}")
    if isinstance(raised, Retry):
        return ended(OutcomeKind.FAILED, error=said(raised), retry_delay_seconds=raised.delay_seconds)
    if isinstance(raised, Discard | PayloadMismatch):
        return ended(OutcomeKind.DISCARDED, error=said(raised))
    return ended(OutcomeKind.FAILED, error=said(raised))


def said(error: BaseException) -> str:
    """The error for people: its text alone if it is meant for them, else its type and text."""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:
        return f"{name}, whose text cannot be told"
    if isinstance(error, Retry | Discard | PayloadMismatch):
        return text or name
    return f"{name}: {text}" if text else name
