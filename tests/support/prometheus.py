"""A Prometheus that scrapes servers under test, with the configuration and the rules that DTQ ships."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import httpx

from tests.support.servers import Server, system_program

ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / "docker/prometheus/prometheus.yml"
PROMTOOL = system_program("promtool")

Samples = list[tuple[dict[str, str], float]]
"""The labels and the value of each."""


def promtool(*arguments: str, given: str = "", folder: Path = CONFIGURATION.parent) -> subprocess.CompletedProcess[str]:
    """What promtool says, run in the folder of the configuration."""
    assert PROMTOOL
    return subprocess.run([PROMTOOL, *arguments], input=given, cwd=folder, capture_output=True, text=True, timeout=60)


class PrometheusServer(Server):
    """The system's Prometheus. It scrapes one API server in place of the one that the configuration names, once a second, and
    bears that token in the way that the configuration has as a comment.
    """

    program = system_program("prometheus")

    def __init__(self, folder: Path, target: str, token: str) -> None:
        super().__init__(folder)
        self._config = folder / "prometheus.yml"
        secret = folder / "token"
        secret.write_text(token)
        text = CONFIGURATION.read_text()
        for shipped, ours in (
            ("_interval: 15s", "_interval: 1s"),
            ("rules/*.yml", f"{CONFIGURATION.parent}/rules/*.yml"),
            ("# authorization:", "authorization:"),
            ("#   credentials_file: /run/secrets/dtq_metrics_token", f"  credentials_file: {secret}"),
            ("api:3000", target),
            ("localhost:9090", f"127.0.0.1:{self.port}"),
        ):
            assert shipped in text
            text = text.replace(shipped, ours)
        self._config.write_text(text)
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=10)

    def ask(self, expression: str) -> Samples:
        """What an expression is now."""
        found = self.read("query", query=expression)
        assert found["resultType"] == "vector", expression
        return [(each["metric"], float(each["value"][1])) for each in found["result"]]

    def read(self, path: str, **parameters: str) -> Any:
        """The data at a path of its API."""
        response = self._http.get(f"/api/v1/{path}", params=parameters)
        assert response.status_code == 200, (path, parameters, response.text)
        return response.json()["data"]

    def stop(self) -> None:
        """End it."""
        self._http.close()
        super().stop()

    def _command(self) -> list[str]:
        assert self.program
        return [
            self.program,
            f"--config.file={self._config}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
        ]

    def _answers(self) -> bool:
        try:
            return self._http.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False
