"""A light HTTP client for load: prepared requests over connections that are kept, and the time of every answer.

It costs the machine a fraction of what a general client does, so that the server is what is measured.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_HOST = "127.0.0.1"


@dataclass(frozen=True)
class Load:
    """What some requests took: all of them together in seconds, and each in milliseconds."""

    seconds: float
    milliseconds: list[float]

    @property
    def per_second(self) -> float:
        """How many were answered a second."""
        return len(self.milliseconds) / self.seconds


def graphql_request(query: str, variables: Mapping[str, Any], token: str | None = None) -> bytes:
    """A GraphQL request as it goes over the line."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    lines = [
        "POST /graphql HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        "Accept: application/json",
        f"Content-Length: {len(body)}",
        *([f"Authorization: Bearer {token}"] if token else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def send(port: int, request: bytes, *, count: int, connections: int) -> Load:
    """Send the request `count` times in all over so many connections. Raises AssertionError for an answer with errors."""
    return asyncio.run(_send(port, request, count, connections))


async def _send(port: int, request: bytes, count: int, connections: int) -> Load:
    left = iter(range(count))
    taken: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection(_HOST, port)
        for _ in left:
            begun = time.perf_counter()
            writer.write(request)
            await _check_answer(reader)
            taken.append((time.perf_counter() - begun) * 1000)
        writer.close()
        await writer.wait_closed()

    begun = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(connections)))
    return Load(time.perf_counter() - begun, taken)


async def _check_answer(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    size = next(int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
    body = await reader.readexactly(size)
    assert head.startswith(b"http/1.1 200") and b'"errors"' not in body, body[:1000]
