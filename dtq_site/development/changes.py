"""Which processes a changed file concerns, and a thread that watches for changes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path, PurePath

import watchfiles

API, WORKER, SCHEDULER = "api", "worker", "scheduler"
ALL = frozenset({API, WORKER, SCHEDULER})
ENV_FILE = PurePath(".env")
_NOBODY: frozenset[str] = frozenset()

_SUFFIXES = {".py", ".lua", ".sql", ".graphql", ".html"}
_UNWATCHED = {"tests", "docker", "var", "node_modules", "htmlcov", "__pycache__"}
_NARROW: tuple[tuple[str, frozenset[str]], ...] = (
    ("dtq_site/foundation/**", ALL),
    ("dtq_site/settings.py", ALL),
    ("dtq_site/options.py", ALL),
    ("dtq_site/*/options.py", ALL),
    ("dtq_site/apps.py", ALL),
    ("dtq_site/development/**", _NOBODY),
    ("dtq_site/management/commands/runserver.py", frozenset({API})),
    ("dtq_site/management/**", _NOBODY),
    ("dtq_site/**", frozenset({API})),
    ("templates/**", frozenset({API})),
    ("*/graphql/**", frozenset({API})),
    ("*/admin.py", frozenset({API})),
    ("*/views.py", frozenset({API})),
    ("*/urls.py", frozenset({API})),
    ("*/management/commands/runworker.py", frozenset({WORKER})),
    ("*/management/commands/runscheduler.py", frozenset({SCHEDULER})),
    ("*/management/**", _NOBODY),
    ("workers/runtime/**", frozenset({WORKER})),
    ("workers/offline/**", frozenset({WORKER})),
    ("workers/transports/**", frozenset({WORKER})),
    ("scheduling/runtime/**", frozenset({SCHEDULER})),
    ("scheduling/duties/**", frozenset({SCHEDULER})),
)


def concerned(path: PurePath) -> frozenset[str]:
    """The names of the processes that must start again after a change of `path`, relative to the project's folder.

    The first pattern that fits decides; code that none fits concerns everybody, since everybody may import it.
    """
    if path.suffix not in _SUFFIXES or not is_watched(path.parts[0]) or "__pycache__" in path.parts:
        return _NOBODY
    return next((names for pattern, names in _NARROW if _fits(path, pattern)), ALL)


def is_watched(top: str) -> bool:
    """Whether changes below the project's top-level folder `top` concern anybody."""
    return top not in _UNWATCHED and not top.startswith(".")


def _fits(path: PurePath, pattern: str) -> bool:
    wanted = pattern.split("/")
    if wanted[-1] == "**":
        wanted.pop()
        parts = path.parts[: len(wanted)]
    else:
        parts = path.parts
    return len(parts) == len(wanted) and all(want in ("*", part) for want, part in zip(wanted, parts, strict=True))


class Watcher(threading.Thread):
    """Calls `report` with the changed paths, relative to `root`, a moment after they were written."""

    def __init__(self, root: Path, report: Callable[[list[PurePath]], None]) -> None:
        super().__init__(name="watcher", daemon=True)
        self._root = root
        self._report = report
        self._stopping = threading.Event()

    def run(self) -> None:
        """Watch until stopped."""
        folders = [entry for entry in self._root.iterdir() if entry.is_dir() and is_watched(entry.name)]
        env_file = [file for file in [self._root / ENV_FILE] if file.exists()]
        watched = watchfiles.watch(
            *folders, *env_file, stop_event=self._stopping, watch_filter=None, raise_interrupt=False
        )
        for changes in watched:
            self._report(sorted(Path(name).relative_to(self._root) for _, name in changes))

    def stop(self) -> None:
        """End the watch and the thread."""
        self._stopping.set()
        self.join()
