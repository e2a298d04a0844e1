"""The id of a request: its sender's if that is sane, else a new one; its answer bears it, and what the request makes."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from dtq_site.arrivals import identified
from dtq_site.foundation import causes


def answered(*headers: tuple[bytes, bytes], path: str = "/") -> tuple[str, str]:
    """The id that the application saw, and the one in the answer to a request with these headers."""
    seen: list[str | None] = []
    sent: list[dict[str, Any]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(causes.request_id())
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-other", b"1")]})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "headers": list(headers)}
    asyncio.run(identified(application)(scope, None, send))
    (_, other), (name, value) = sent[0]["headers"]
    assert (other, name, len(sent)) == (b"1", b"x-request-id", 2)
    return seen[0], value.decode()


@pytest.mark.parametrize("given", ["a", "0af7651916cd43dd8448eb211c80319c", "Root=1-67891233:ab/c_d.e+f@g", "x" * 64])
def test_a_sane_id_is_kept(given: str):
    assert answered((b"x-request-id", given.encode())) == (given, given)


@pytest.mark.parametrize(
    "given", [b"", b"x" * 65, b"two words", b"line\nbreak", b'"quoted"', "é".encode(), b"\xff", b"a,b"]
)
def test_any_other_is_replaced_by_a_new_one(given: bytes):
    first, second = answered((b"x-request-id", given)), answered((b"x-request-id", given))

    assert first[0] == first[1] and re.fullmatch(r"[0-9a-f]{16}", first[0])
    assert first != second


def test_a_request_without_one_gets_one_and_nothing_remains_of_it():
    seen, sent = answered()

    assert seen == sent and re.fullmatch(r"[0-9a-f]{16}", seen)
    assert causes.request_id() is None
