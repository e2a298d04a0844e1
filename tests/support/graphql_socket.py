"""A client of graphql-transport-ws for tests: one message at a time, nothing done behind the test's back but pongs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

SUBPROTOCOL = "graphql-transport-ws"
Message = dict[str, Any]


class GraphQLSocketClient:
    """One connection. It answers pings unless `answers_pings` is False."""

    def __init__(self, connection: ClientConnection, *, answers_pings: bool = True) -> None:
        self.connection = connection
        self._answers_pings = answers_pings
        self._ids = count(1)
        self._waiting: list[Message] = []

    def send(self, *messages: Message | str) -> None:
        """Send messages as JSON, texts as they are."""
        for message in messages:
            self.connection.send(message if isinstance(message, str) else json.dumps(message))

    def receive(self, timeout_seconds: float = 15.0) -> Message:
        """The next message that is no ping. Raises TimeoutError."""
        while True:
            message = json.loads(self.connection.recv(timeout_seconds))
            if message["type"] != "ping" or not self._answers_pings:
                return message
            self.send({"type": "pong"})

    def introduce(self, token: str | None) -> None:
        """Say who this is, and wait for the acknowledgement."""
        payload = {} if token is None else {"payload": {"Authorization": f"Bearer {token}"}}
        self.send({"type": "connection_init", **payload})
        assert self.receive() == {"type": "connection_ack"}

    def start(self, query: str, **variables: Any) -> str:
        """Start an operation; returns its id."""
        id_ = str(next(self._ids))
        self.send({"id": id_, "type": "subscribe", "payload": {"query": query, "variables": variables}})
        return id_

    def follow(self, query: str, **variables: Any) -> str:
        """Start a subscription and wait until it has started; returns its id."""
        id_ = self.start(query, **variables)
        # Operations of one socket start in turn: the answer to the next one says that this has.
        assert self.ask("{ __typename }") == {"__typename": "Query"}
        return id_

    def ask(self, query: str, **variables: Any) -> Any:
        """The data of a query's or a mutation's only result; what arrives of others meanwhile is kept for `next`."""
        id_ = self.start(query, **variables)
        found = []
        while True:
            message = self.receive()
            if message.get("id") != id_:
                self._waiting.append(message)
            elif message["type"] == "complete":
                (data,) = found
                return data
            else:
                assert message["type"] == "next" and "errors" not in message["payload"], message
                found.append(message["payload"]["data"])

    def next(self, id_: str, timeout_seconds: float = 15.0) -> Any:
        """The data of an operation's next result."""
        message = self._next_of(id_, timeout_seconds)
        assert message["type"] == "next" and "errors" not in message["payload"], message
        return message["payload"]["data"]

    def refusal(self, id_: str) -> list[Message]:
        """The errors with which an operation was refused."""
        message = self._next_of(id_, 15.0)
        assert message["type"] == "error", message
        return message["payload"]

    def until(self, id_: str, field: str, status: str, timeout_seconds: float = 30.0) -> list[Message]:
        """What is shown of `field` until it has that status."""
        shown = []
        deadline = time.monotonic() + timeout_seconds
        while not shown or shown[-1]["status"] != status:
            shown.append(self.next(id_, deadline - time.monotonic())[field])
        return shown

    def silent(self, seconds: float = 1.0) -> bool:
        """Whether nothing arrives for so long."""
        if self._waiting:
            return False
        try:
            self._waiting.append(self.receive(seconds))
        except TimeoutError:
            return True
        return False

    def close_code(self, timeout_seconds: float = 15.0) -> int:
        """The code with which the server closes; what it sends before is passed over."""
        deadline = time.monotonic() + timeout_seconds
        try:
            while True:
                self.connection.recv(deadline - time.monotonic())
        except ConnectionClosed:
            assert self.connection.close_code is not None
            return self.connection.close_code

    def _next_of(self, id_: str, timeout_seconds: float) -> Message:
        deadline = time.monotonic() + timeout_seconds
        for position, message in enumerate(self._waiting):
            if message.get("id") == id_:
                return self._waiting.pop(position)
        while (message := self.receive(max(deadline - time.monotonic(), 0.001))).get("id") != id_:
            self._waiting.append(message)
        return message


@contextmanager
def open_socket(
    url: str, *, subprotocol: str | None = SUBPROTOCOL, answers_pings: bool = True, **options: Any
) -> Iterator[GraphQLSocketClient]:
    """A connection to `ws://…/graphql`, closed at the end."""
    subprotocols = None if subprotocol is None else [subprotocol]
    with connect(url, subprotocols=subprotocols, compression=None, close_timeout=1, **options) as connection:
        yield GraphQLSocketClient(connection, answers_pings=answers_pings)


@contextmanager
def signed_in(url: str, token: str) -> Iterator[GraphQLSocketClient]:
    """A connection that was acknowledged."""
    with open_socket(url) as client:
        client.introduce(token)
        yield client
