"""A TCP proxy that stands for a bad network: it can delay, cut, drop replies at a byte, and swallow everything."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_CHUNK = 65536


class TcpProxy:
    """Listens on a port of its own and passes on to `upstream_port` of this machine, in ways that a test may change.

    `reachable`: whether connections are taken; `cut` ends those that there are. `delay_seconds` holds up every piece, each
    way. `swallowing`: connections stay open and nothing passes. `cut_reply` ends a connection in the middle of the next
    reply that contains a text and whose request contains another, and may be away from then on.
    """

    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.delay_seconds = 0.0
        self.swallowing = False
        self.connected_at: list[float] = []
        self.replies_cut = 0
        self._cut_after: bytes | None = None
        self._reply_contains = b""
        self._then_away = False
        self._reachable = True
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closed = False
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    @property
    def url(self) -> str:
        """The GraphQL endpoint behind it."""
        return f"http://127.0.0.1:{self.port}/graphql"

    def lead_to(self, upstream_port: int) -> None:
        """Pass new connections on to another port."""
        self._upstream_port = upstream_port

    def cut(self) -> None:
        """Be away: end all connections, and refuse new ones."""
        self._reachable = False
        self._end_all()

    def restore(self) -> None:
        """Be there again."""
        self._reachable, self.swallowing = True, False

    def swallow(self) -> None:
        """Be a black hole: connections are taken and kept, and nothing ever comes back."""
        self.swallowing = True

    def cut_reply(self, request_contains: bytes, reply_contains: bytes = b"", *, then_away: bool = False) -> None:
        """End the connection in the middle of the next reply with these bytes to a request with those."""
        self._reply_contains, self._then_away = reply_contains, then_away
        self._cut_after = request_contains

    @contextmanager
    def away(self) -> Iterator[None]:
        """Be away for the length of a block."""
        self.cut()
        yield
        self.restore()

    def close(self) -> None:
        """End everything."""
        self._closed = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._end_all()

    def _end_all(self) -> None:
        with self._lock:
            ended, self._open = self._open, set()
        for each in ended:
            _end(each)

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if not self._reachable:
                _end(client)
                continue
            self.connected_at.append(time.monotonic())
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._upstream_port), timeout=5)
        except OSError:
            _end(client)
            return
        server.settimeout(None)
        with self._lock:
            self._open |= {client, server}
        if not self._reachable:  # it was cut meanwhile
            self._end_all()
        chosen, doomed = threading.Event(), threading.Event()

        def note_request(piece: bytes) -> None:
            if self._cut_after is not None and self._cut_after in piece:
                chosen.set()

        def halve_reply(piece: bytes) -> bytes:
            if not (chosen.is_set() and self._reply_contains in piece and self._take_cut()):
                return piece
            doomed.set()
            return piece[: len(piece) // 2]

        back = threading.Thread(target=self._pass_on, args=(server, client, halve_reply, doomed), daemon=True)
        back.start()
        self._pass_on(client, server, lambda piece: (note_request(piece), piece)[1], None)
        back.join()

    def _take_cut(self) -> bool:
        """Whether a reply is still to be cut: only one is."""
        with self._lock:
            taken, self._cut_after = self._cut_after is not None, None
        return taken

    def _pass_on(
        self,
        source: socket.socket,
        target: socket.socket,
        change: Callable[[bytes], bytes],
        doomed: threading.Event | None,
    ) -> None:
        try:
            while piece := source.recv(_CHUNK):
                if self.swallowing:
                    continue
                if self.delay_seconds:
                    time.sleep(self.delay_seconds)
                target.sendall(change(piece))
                if doomed is not None and doomed.is_set():
                    if self._then_away:
                        self.cut()
                    self.replies_cut += 1
                    break
        except OSError:
            pass
        with self._lock:
            self._open -= {source, target}
        _end(source)
        _end(target)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
