"""One process of the API: Daphne on the event loop of uvloop. `python -m dtq_site.server --help` lists Daphne's options.

Daphne makes its event loop as soon as it is imported, and asks for none of another kind than the policy says at that moment. On
uvloop's a request takes about a fifth less of the processor.
"""

from __future__ import annotations

import asyncio
from typing import Any

import uvloop

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())

from daphne.cli import CommandLineInterface  # noqa: E402
from daphne.http_protocol import WebRequest  # noqa: E402
from daphne.server import Server  # noqa: E402
from twisted.internet import reactor  # noqa: E402
from twisted.internet.defer import Deferred  # noqa: E402

from dtq_site.foundation.clock import elapsed_clock  # noqa: E402
from dtq_site.foundation.logging import log_events  # noqa: E402
from dtq_site.foundation.observer import Observer  # noqa: E402
from dtq_site.serving import DRAIN_SECONDS  # noqa: E402

_CANCEL_SECONDS = 2.0
_LOOK_SECONDS = 0.02


_observer = Observer(log_events("dtq.requests"))


class DrainingServer(Server):
    """A Daphne that ends by taking no more connections, answering what it was asked, and only then closing the others.

    Its requests are lines of the log like all others, in place of Daphne's own access log.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._ports: list[Any] = []
        self._drains = False

    def listen_success(self, port: Any) -> None:
        """Remember where it listens."""
        self._ports.append(port)
        super().listen_success(port)

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        """Pass on a part of an answer; while draining, one that begins tells its client to take another connection next."""
        if self._drains and message["type"] == "http.response.start" and protocol.channel is not None:
            protocol.channel.persistent = False
            message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        await super().handle_reply(protocol, message)

    def log_action(self, protocol: str, action: str, details: dict[str, Any]) -> None:
        """A line for each answer. What follows the `?` of an address is in none: that may be a password or a token."""
        if protocol == "http" and action == "complete":
            _observer.emit(
                "request.answered",
                method=details["method"],
                path=details["path"].partition("?")[0],
                status=details["status"],
                milliseconds=round(details["time_taken"] * 1000, 1),
            )

    def kill_all_applications(self) -> Deferred[None]:
        """What Twisted waits for before it stops: here the requests come to their end first."""
        return Deferred.fromFuture(asyncio.ensure_future(self._drain()))

    async def _drain(self) -> None:
        from dtq_site.endpoint import room  # has been loaded with the application

        self._drains = True
        for port in self._ports:
            port.stopListening()
        room.close()
        ends_at = elapsed_clock() + DRAIN_SECONDS
        while self._is_under_way() and elapsed_clock() < ends_at:
            await asyncio.sleep(_LOOK_SECONDS)
        states = self.connections.values()
        left = [state["application_instance"] for state in states if "application_instance" in state]
        for application in left:
            application.cancel()
        if left:
            await asyncio.wait(left, timeout=_CANCEL_SECONDS)

    def _is_under_way(self) -> bool:
        """Whether a request is being read or answered, or what was written has not all been sent."""
        unfinished = (
            isinstance(protocol, WebRequest) and "disconnected" not in state
            for protocol, state in self.connections.items()
        )
        return any(unfinished) or bool(reactor.getWriters())


class _CommandLine(CommandLineInterface):
    server_class = DrainingServer


if __name__ == "__main__":
    _CommandLine.entrypoint()
