"""Waiting for something that another thread or process will make true."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


def eventually(check: Callable[[], Answer], timeout_seconds: float = 10.0, *, every_seconds: float = 0.02) -> Answer:
    """Call `check` until it returns something true, and return that.

    An AssertionError counts as "not yet". Raises AssertionError with the last answer, or the last failed assertion, once
    the time is up.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        failed: AssertionError | None = None
        try:
            if answer := check():
                return answer
        except AssertionError as error:
            failed, answer = error, None
        if time.monotonic() > deadline:
            raise AssertionError(
                f"not within {timeout_seconds} s; the last answer was {failed or answer!r}"
            ) from failed
        time.sleep(every_seconds)
