"""The guard: a tiny process that runs the embedded Redis for as long as somebody uses it.

Every user holds a shared lock on a file; the guard waits for the exclusive one. The kernel gives up the locks of a dead
process, however it died, so the guard gets its lock when the last user is gone, ends Redis, and ends. A Redis that dies
earlier is started again. `embedded_redis.hold` starts the guard; nobody else should.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time

from dtq_site.foundation.backoff import full_jitter
from dtq_site.foundation.processes import dies_with_parent


class Guard:
    """Runs `command` until nobody holds a lock on the file `users` any more."""

    def __init__(self, users: str, command: list[str]) -> None:
        self._users = users
        self._command = command
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._redis: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Run to the end; returns 1 if Redis refused to run (a bad binary, a folder that it cannot use), else 0."""
        threading.Thread(target=self._wait_for_the_last_user, daemon=True).start()
        deaths = 0
        while (redis := self._started()) is not None:
            begun = time.monotonic()
            code = redis.wait()
            if self._ending.is_set():
                break
            if code > 0:
                return 1
            deaths = 1 if time.monotonic() - begun > 5 else deaths + 1
            self._ending.wait(full_jitter(deaths, base_seconds=0.05, cap_seconds=5.0))
        return 0

    def _started(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._ending.is_set():
                return None
            # On this thread, the main one: Redis dies with the thread that started it.
            self._redis = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, preexec_fn=dies_with_parent())
            return self._redis

    def _wait_for_the_last_user(self) -> None:
        descriptor = os.open(self._users, os.O_RDWR)
        # Kept until this process ends: whoever comes now waits for it, and so never meets a Redis that is about to end.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with self._lock:
            self._ending.set()
            redis = self._redis
        if redis is None:
            return
        redis.terminate()
        try:
            redis.wait(5)
        except subprocess.TimeoutExpired:
            redis.kill()


if __name__ == "__main__":
    sys.exit(Guard(users=sys.argv[1], command=sys.argv[2:]).run())
