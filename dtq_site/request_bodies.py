"""What becomes of the bodies of requests before the application sees them, where Daphne serves this process.

Twisted, under Daphne, reads every form itself, for nothing: what it cannot read it answers with 400 and no word, and of all else
it keeps a second copy. And however long a body is, all of it is taken from the network and kept before the application, which
knows how much it wants, is asked.
"""

from __future__ import annotations

from typing import Any

from daphne import http_protocol

_REFUSAL = b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def bound_bodies(max_bytes: int) -> None:
    """Have Daphne hand over bodies as they came, and hang up on clients that send more than so many bytes in one."""

    class WebRequest(http_protocol.WebRequest):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, parsePOSTFormSubmission=False, **kwargs)
            self._arrived = 0

        def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
            before, self._arrived = self._arrived, self._arrived + len(data)
            if self._arrived <= max_bytes:
                super().handleContentChunk(data)
            elif before <= max_bytes:
                self.channel.transport.write(_REFUSAL)
                self.channel.loseConnection()

        def process(self) -> Any:
            return super().process() if self._arrived <= max_bytes else None

    http_protocol.WebRequest = WebRequest
