"""Many followers at once: WebSockets with one subscription each, and how long after its change each of them was shown a task.

The time of a change travels in the task's title, on the monotonic clock of the host. The followers live on an event loop on
a thread of their own.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

SUBPROTOCOL = "graphql-transport-ws"
_AT_ONCE = 50
_START_SECONDS = 120.0
_NANOSECONDS_IN_MS = 1e6

Request = Mapping[str, Any]


class Followers:
    """What all followers have been shown so far."""

    def __init__(self) -> None:
        self.milliseconds: list[float] = []
        self.ended = 0

    def take(self, text: str) -> str | None:
        """Note a message; returns the answer that it wants."""
        now = time.monotonic_ns()
        message = json.loads(text)
        if message["type"] == "ping":
            return '{"type":"pong"}'
        if message["type"] == "next" and message["id"] == "followed":
            (task,) = message["payload"]["data"].values()
            if task["status"] == "CANCELLED":
                self.ended += 1
            else:
                self.milliseconds.append((now - int(task["title"])) / _NANOSECONDS_IN_MS)
        return None


@contextmanager
def following(port: int, token: str, requests: Sequence[Request]) -> Iterator[Followers]:
    """One follower for each request, all of them started."""
    followers, started, over = Followers(), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    work = loop.create_task(_follow(f"ws://127.0.0.1:{port}/graphql", token, requests, followers, started, over))
    thread = threading.Thread(target=loop.run_until_complete, args=(work,), daemon=True)
    thread.start()
    try:
        if not started.wait(_START_SECONDS):
            raise TimeoutError(f"{len(requests)} subscriptions did not start within {_START_SECONDS} s")
        yield followers
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()
    work.result()


async def _follow(
    url: str,
    token: str,
    requests: Sequence[Request],
    followers: Followers,
    started: threading.Event,
    over: asyncio.Event,
) -> None:
    connections = []
    for start in range(0, len(requests), _AT_ONCE):
        connections += await asyncio.gather(
            *(_started(url, token, request) for request in requests[start : start + _AT_ONCE])
        )
    readers = [asyncio.ensure_future(_read(connection, followers)) for connection in connections]
    started.set()
    await over.wait()
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    await asyncio.gather(*(connection.close() for connection in connections))


async def _started(url: str, token: str, request: Request) -> ClientConnection:
    connection = await connect(
        url, subprotocols=[SUBPROTOCOL], compression=None, open_timeout=60, ping_interval=None, close_timeout=1
    )
    await connection.send(json.dumps({"type": "connection_init", "payload": {"token": token}}))
    await connection.send(json.dumps({"id": "followed", "type": "subscribe", "payload": request}))
    # Operations of one socket start in turn: the end of the next one says that this has started.
    await connection.send(json.dumps({"id": "next", "type": "subscribe", "payload": {"query": "{ __typename }"}}))
    while json.loads(await connection.recv()) != {"id": "next", "type": "complete"}:
        pass
    return connection


async def _read(connection: ClientConnection, followers: Followers) -> None:
    while True:
        answer = followers.take(await connection.recv())
        if answer is not None:
            await connection.send(answer)
