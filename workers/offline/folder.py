"""Whose which file of the outbox is: one process holds a file, and what a dead one has left is whose finds it.

Outcomes are proved by their leases, so anybody may deliver them, to the server that they are for: another one knows none of them,
and what it has refused is forgotten here. A file exists only while something is kept in it; one that nobody holds, and that is
for the same server, is an inheritance. The lock of a file is one on an empty file beside it that stays. It is of the kind that
a process forked by a handler does not inherit, and the kernel gives it up when its process is gone, however that died.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import re
import threading
from pathlib import Path
from urllib.parse import urlsplit

from dtq_site.foundation.clock import boot_id
from dtq_site.foundation.observer import Observer
from tasks.domain.lease import Lease
from workers.offline.errors import StoreDamaged, StoreError, StoreTooNew
from workers.offline.files import Origin, leases_in, origin_of, with_logs
from workers.offline.store import Store

_NAME = re.compile(r"outbox-\d+\.sqlite3")
_USUAL_PORTS = {"http": ":80", "https": ":443"}


class OutboxFolder:
    """The files of a host's worker processes. One object in a process: two would not see each other's locks.

    `server` is the address of the server to which what they keep goes; there is none for workers that reach the database.
    """

    def __init__(self, observer: Observer, path: Path, most_bytes: int, server: str = "") -> None:
        self._observer = observer
        self._path = path
        self._most_bytes = most_bytes
        self._origin = Origin(_plain(server), boot_id())
        self._lock = threading.Lock()
        self._held: dict[Path, int] = {}
        self._passed_over: set[Path] = set()
        self._foreign: set[Path] = set()
        self._for_others: dict[Path, str] = {}
        self._has_told_of_others = False

    def prepare(self) -> None:
        """Make the folder, for this user alone. An event says so if nothing can be kept in it."""
        try:
            self._make()
        except OSError as error:
            self._observer.emit("outbox.unusable", folder=str(self._path), error=str(error))

    def new_store(self) -> Store:
        """A file of this process's own. Raises OSError or StoreError."""
        self._make()
        path = next(path for path in map(self._file, itertools.count()) if self._hold_new(path))
        try:
            return Store(path, self._most_bytes, self._origin)
        except BaseException:
            for file in with_logs(path):
                file.unlink(missing_ok=True)
            self._let_go(path)
            raise

    def inherit(self) -> Store | None:
        """A file that a process has left, this one's until it is given up; None if there is none that can be read.

        One for another server stays as it is, and an event says once that there are such files.
        """
        for path in self._files():
            if path not in self._passed_over and self._hold(path):
                if store := self._opened(path):
                    return store
                self._let_go(path)
        self._tell_of_others()
        return None

    def _opened(self, path: Path) -> Store | None:
        try:
            if not path.exists() or self._is_for_another(path):
                return None
            return Store(path, self._most_bytes)
        except StoreDamaged as error:
            self._rename(path, error)
        except StoreTooNew as error:
            self._passed_over.add(path)
            self._observer.emit("outbox.too_new", file=str(path), error=str(error))
        except StoreError as error:
            self._observer.emit("outbox.unusable", file=str(path), error=str(error))
        return None

    def _is_for_another(self, path: Path) -> bool:
        server = origin_of(path).server
        if server in ("", self._origin.server):
            return False
        self._for_others[path] = server
        return True

    def _tell_of_others(self) -> None:
        if self._for_others and not self._has_told_of_others:
            self._has_told_of_others = True
            servers = ", ".join(sorted(set(self._for_others.values())))
            self._observer.emit(
                "outbox.other_server", files=len(self._for_others), servers=servers, folder=str(self._path)
            )

    def release(self, store: Store) -> None:
        """Hold the file no longer; what is kept in it is left to whoever finds it."""
        store.close()
        self._let_go(store.path)

    def pass_over(self, store: Store) -> None:
        """As `release`, and inherit it no more: what is left in it is for others."""
        self._passed_over.add(store.path)
        self.release(store)

    def discard(self, store: Store) -> None:
        """Remove the file: all that was kept in it has been taken."""
        try:
            store.remove()
        finally:
            self._let_go(store.path)

    def set_aside(self, store: Store, error: StoreDamaged) -> None:
        """Keep a damaged file for people, under another name, and hold it no longer."""
        store.close()
        try:
            self._rename(store.path, error)
        finally:
            self._let_go(store.path)

    def kept_leases(self) -> set[Lease]:
        """The leases of all outcomes that are kept, whoever holds the files: each of them will be delivered by somebody."""
        return set().union(*map(leases_in, self._files()))

    # --- files and locks -------------------------------------------------------------------------------------------

    def _make(self) -> None:
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(self._path, os.W_OK | os.X_OK):
            raise PermissionError(f"{self._path} cannot be written")

    def _file(self, number: int) -> Path:
        return self._path / f"outbox-{number}.sqlite3"

    def _files(self) -> list[Path]:
        return sorted(path for path in self._path.glob("outbox-*") if _NAME.fullmatch(path.name))

    def _rename(self, path: Path, error: StoreDamaged) -> None:
        names = (path.with_name(f"{path.name}.damaged-{number}") for number in itertools.count(1))
        aside = next(name for name in names if not name.exists())
        for old, new in zip(with_logs(path), with_logs(aside), strict=True):
            if old.exists():
                old.rename(new)
        self._observer.emit("outbox.set_aside", file=str(path), now=str(aside), error=str(error))

    def _hold_new(self, path: Path) -> bool:
        if not self._hold(path):
            return False
        if path.exists():
            self._let_go(path)
            return False
        return True

    def _hold(self, path: Path) -> bool:
        with self._lock:
            if path in self._held:
                return False
            lock = path.with_suffix(".lock")
            try:
                descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
            except PermissionError as error:
                self._tell_foreign(lock, error)
                return False
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                return False
            self._held[path] = descriptor
            return True

    def _tell_foreign(self, lock: Path, error: OSError) -> None:
        """Another user's: who holds it cannot be seen. A folder in which nothing can be made is no reason to look further."""
        if not lock.exists():
            raise error
        if lock not in self._foreign:
            self._foreign.add(lock)
            self._observer.emit("outbox.foreign", file=str(lock), error=str(error))

    def _let_go(self, path: Path) -> None:
        with self._lock:
            os.close(self._held.pop(path))


def _plain(address: str) -> str:
    """The address in one of the ways in which it can be written, without what might be secret in it."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2].lower().removesuffix(_USUAL_PORTS.get(parts.scheme, ""))
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}" if host else ""
