"""The API as a real process under test: where it is, and what its metrics say."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import httpx

from tests.support.processes import Process, Processes
from tests.support.servers import free_port


@dataclass(frozen=True)
class LiveServer:
    """A server process and where it is."""

    process: Process
    port: int

    @property
    def http_url(self) -> str:
        """The address of its pages."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        """The address of its WebSocket."""
        return f"ws://127.0.0.1:{self.port}/graphql"

    def gauge(self, name: str) -> float:
        """The value of a metric without labels."""
        lines = httpx.get(f"{self.http_url}/metrics").text.splitlines()
        (line,) = [line for line in lines if line.startswith(f"{name} ")]
        return float(line.split()[1])


def start_live_server(processes: Processes, **variables: str) -> LiveServer:
    """Start one, with variables of its own, and wait until it answers."""
    port = free_port()
    command = [sys.executable, "-m", "dtq_site.server", "-p", str(port), "dtq_site.asgi:application"]
    server = LiveServer(processes.start(command, DJANGO_SETTINGS_MODULE="dtq_site.settings", **variables), port)
    with httpx.Client(transport=httpx.HTTPTransport(retries=20), timeout=30) as client:
        client.get(f"{server.http_url}/health/live").raise_for_status()
    return server
