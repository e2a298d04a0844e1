"""The harness's end of a producer: starts it, asks it, ends it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dtq_site.foundation.processes import dies_with_parent
from tests.benchmarks.place import ROOT


class ProducerFailedError(Exception):
    """A producer ended instead of answering; the message has its last words."""


class RemoteProducer:
    """A `producer.py` in a process of its own. One request at a time."""

    def __init__(self, python: Path, application: str, environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as errors:
            self._popen = subprocess.Popen(
                [str(python), "-m", "tests.benchmarks.producer", f"tests.benchmarks.applications.{application}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=dict(environment),
                cwd=ROOT,
                preexec_fn=dies_with_parent(),
                start_new_session=True,
                text=True,
            )

    def ask(self, request: str, **arguments: Any) -> Any:
        """The answer to one request of `producer.Producer`. Raises ProducerFailedError."""
        assert self._popen.stdin is not None and self._popen.stdout is not None
        try:
            self._popen.stdin.write(json.dumps({"do": request, **arguments}) + "\n")
            self._popen.stdin.flush()
            answer = self._popen.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise ProducerFailedError(f"{request} {arguments}: {self._log.read_text(errors='replace')[-3000:]}")
        return json.loads(answer)

    def end(self) -> None:
        """End it, whatever it does."""
        self._popen.kill()
        self._popen.communicate()
