"""How long messages over a WebSocket may be, where Daphne serves this process.

Autobahn, under Daphne, has one limit for what it takes and what it sends. What clients send is held against it as soon as a frame
says how long it is, before any of it is kept, so the limit stays as low as Daphne has it. What the server sends, the application
has measured already.
"""

from __future__ import annotations

from typing import Any

from daphne import ws_protocol


def send_long_messages() -> None:
    """Have Daphne send messages of any length, and take none that are longer than before."""

    class WebSocketProtocol(ws_protocol.WebSocketProtocol):
        def sendMessage(self, payload: bytes, *args: Any, **options: Any) -> None:  # noqa: N802 - Autobahn's name
            taken, self.maxMessagePayloadSize = self.maxMessagePayloadSize, 0
            try:
                super().sendMessage(payload, *args, **options)
            finally:
                self.maxMessagePayloadSize = taken

    ws_protocol.WebSocketFactory.protocol = WebSocketProtocol
