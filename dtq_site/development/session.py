"""The parent's loop: starts the children, restarts those that a change concerns, and leaves none behind.

Everything happens on the main thread. Signals and the watcher only put something into the queue that it reads.
"""

from __future__ import annotations

import queue
import signal
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath

from dtq_site.development.changes import ENV_FILE, Watcher, concerned
from dtq_site.development.child import Child
from dtq_site.development.screen import Screen

_TICK_SECONDS = 0.1


class Session:
    """Children on one screen, from `run` until a signal says end."""

    def __init__(
        self,
        children: Sequence[Child],
        *,
        root: Path,
        screen: Screen,
        is_ready: Callable[[], bool],
        welcome: Callable[[], str],
        migrate: Callable[[], None],
    ) -> None:
        self._children = children
        self._screen = screen
        self._is_ready: Callable[[], bool] | None = is_ready
        self._welcome = welcome
        self._migrate = migrate
        # A SimpleQueue, because a signal handler may put while the same thread is inside `get`.
        # It holds changed paths, or None for the wish to end.
        self._inbox: queue.SimpleQueue[list[PurePath] | None] = queue.SimpleQueue()
        self._watcher = Watcher(root, self._inbox.put)

    def run(self) -> None:
        """Run until SIGINT, SIGTERM or SIGHUP; a second one does not wait for running tasks."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self._inbox.put(None))
        self._watcher.start()
        try:
            for child in self._children:
                child.start()
            while (changed := self._next()) is not None:
                self._apply(changed)
                for child in self._children:
                    child.tend()
                self._greet_once()
            self._end()
        finally:
            for child in self._children:
                child.kill()
            self._watcher.stop()

    def _next(self) -> list[PurePath] | None:
        try:
            return self._inbox.get(timeout=_TICK_SECONDS)
        except queue.Empty:
            return []

    def _apply(self, changed: list[PurePath]) -> None:
        if ENV_FILE in changed:  # our own environment has taken the old values in, and hands them on
            self._screen.say(f"{ENV_FILE} changed: end this with Ctrl-C and start it again")
        names = frozenset[str]().union(*(concerned(path) for path in changed))
        if not names:
            return
        shown = next(str(path) for path in changed if concerned(path))
        self._screen.say(f"{shown} changed: {', '.join(sorted(names))} start again")
        if any("migrations" in path.parts for path in changed):
            try:
                self._migrate()
            except Exception as error:
                self._screen.say(f"the migrations failed: {error}")
        for child in self._children:
            if child.name in names:
                child.restart()

    def _greet_once(self) -> None:
        if self._is_ready is not None and self._is_ready():
            self._is_ready = None
            self._screen.say(self._welcome())

    def _end(self) -> None:
        self._screen.say("ending; press Ctrl-C again to end without waiting for running tasks")
        for child in self._children:
            child.stop()
        while any(child.running for child in self._children):
            if self._next() is None:
                for child in self._children:
                    child.kill()
            for child in self._children:
                child.tend(keep=False)
        self._screen.say("ended")
