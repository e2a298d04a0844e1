"""Whether the server is within reach, as the requests of one process find out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.observer import Observer
from workers.transports.base import Unreachable
from workers.transports.graphql_client import TokenRefused

Answer = TypeVar("Answer")

CUT_OFF_SECONDS = 5.0
"""How long handlers do not even try to reach a server that was found away."""

REMEDY = (
    "Nothing is lost: outcomes are kept on this disk. Have a new token made with issue_worker_token and put it into the token "
    "file, which is read again by itself; where the token is in DTQ_TOKEN, start the worker anew."
)


class Reach:
    """Thread-safe. An event says so once when the server stops taking the token."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._away_until = 0.0
        self._refused = False

    def ask_for_handler(self, call: Callable[[], Answer]) -> Answer:
        """As `ask`, for a handler that waits for the answer: a server that was found away a moment ago is not even tried."""
        if elapsed_clock() < self._away_until:
            raise Unreachable("the server was away a moment ago")
        return self.ask(call)

    def ask(self, call: Callable[[], Answer]) -> Answer:
        """What the call returns; what it raises tells whether the server is there."""
        try:
            answer = call()
        except Unreachable as error:
            self._away_until = elapsed_clock() + CUT_OFF_SECONDS
            if isinstance(error, TokenRefused) and not self._refused:
                self._refused = True
                self._observer.emit("token.refused", error=str(error), remedy=REMEDY)
            raise
        self._away_until, self._refused = 0.0, False
        return answer
