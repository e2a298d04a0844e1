"""Looks at the queue once a second through `/metrics`, as Prometheus does, while users are at work."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from types import TracebackType

import httpx
from prometheus_client.parser import text_string_to_metric_families

EVERY_SECONDS = 1.0


@dataclass(frozen=True)
class Look:
    """What there was at one moment: tasks that are ready, that run, and that have been completed since the beginning."""

    at: float
    ready: float
    running: float
    completed: float


def look(port: int) -> Look:
    """How it is now."""
    at = time.time()
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30).raise_for_status().text
    values = {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.labels
    }
    return Look(at, values["queue_size"], values["tasks_active"], values["tasks_completed_total"])


class Watch:
    """Within its block, a look a second; they are in `looks`."""

    def __init__(self, port: int) -> None:
        self.looks: list[Look] = []
        self._port = port
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on_looking, name="watch")

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _go_on_looking(self) -> None:
        while True:
            self.looks.append(look(self._port))
            if self._ended.wait(EVERY_SECONDS):
                self.looks.append(look(self._port))
                return
