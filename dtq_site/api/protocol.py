"""The protocol graphql-transport-ws on the server's side: which messages are legal when, and how its own are written.

Pure: frames and moments go in, commands come out, and `Closing` is raised when the protocol wants the socket closed.
The words are those of its specification (github.com/enisdenjo/graphql-ws, PROTOCOL.md).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NoReturn

from dtq_site.foundation import strict_json

SUBPROTOCOL = "graphql-transport-ws"
_LONGEST_REASON = 123  # bytes, in a close frame
_MOST_EARLY_PINGS = 10

Payload = dict[str, Any]


class CloseCode(IntEnum):
    """Why a socket is closed. The last three are ours; after them and FORBIDDEN a client does well to connect again."""

    BAD_MESSAGE = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    WRONG_SUBPROTOCOL = 4406
    INIT_TIMEOUT = 4408
    DUPLICATE_ID = 4409
    TOO_MANY = 4429
    INTERNAL = 4500
    TOO_SLOW = 4508
    UNAVAILABLE = 4503


class Closing(Exception):
    """The socket has to be closed, with this code and reason."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        self.code = code
        self.reason = reason.encode()[:_LONGEST_REASON].decode(errors="ignore")
        super().__init__(f"{int(code)}: {self.reason}")


# --- what a frame asks for -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Authenticate:
    """The client introduces itself; `Session.acknowledge` answers, or the socket is closed."""

    payload: Payload


@dataclass(frozen=True)
class Reply:
    """This text is to be sent at once."""

    text: str


@dataclass(frozen=True)
class Pong:
    """The client answers our ping: it has read everything up to there."""


@dataclass(frozen=True, eq=False)
class Operation:
    """An operation is to be run. It lives until it is completed by either side."""

    id: str
    query: str
    variables: Payload
    name: str | None


@dataclass(frozen=True)
class Complete:
    """The client wants no more of an operation, or never had one of that id."""

    operation: Operation | None


Command = Authenticate | Reply | Pong | Operation | Complete


class Session:
    """One socket's conversation, from its acceptance on."""

    def __init__(self, *, opened_at: float, init_seconds: float, max_bytes: int, max_unsigned_bytes: int) -> None:
        self.init_deadline = opened_at + init_seconds
        self._max_bytes, self._max_unsigned_bytes = max_bytes, max_unsigned_bytes
        self._introduced = self._acknowledged = False
        self._early_pings = 0
        self._living: dict[str, Operation] = {}

    def take(self, frame: str | bytes) -> Command:
        """What the client's next frame asks for. Raises Closing if it may not be sent, or not now."""
        message = self._read(frame)
        handle = _HANDLERS.get(message.get("type")) if isinstance(message.get("type"), str) else None
        if handle is None:
            _refuse("the message has no type that a client may send")
        return handle(self, message)

    def check_time(self, now: float) -> None:
        """Raise Closing if the client should have introduced itself by now."""
        if not self._introduced and now >= self.init_deadline:
            raise Closing(CloseCode.INIT_TIMEOUT, "Connection initialisation timeout")

    @property
    def awaits_introduction(self) -> bool:
        """Whether the client has not said who it is."""
        return not self._introduced

    def acknowledge(self) -> str:
        """The client may start operations from now on; returns the message that says so."""
        self._acknowledged = True
        return _written(type="connection_ack")

    # --- operations ------------------------------------------------------------------------------------------------

    @property
    def living(self) -> int:
        """How many operations live."""
        return len(self._living)

    def lives(self, operation: Operation) -> bool:
        """Whether the client still waits for this very operation, not for a later one of the same id."""
        return self._living.get(operation.id) is operation

    def end(self, operation: Operation) -> None:
        """Forget an operation that lives."""
        del self._living[operation.id]

    # --- reading ---------------------------------------------------------------------------------------------------

    def _read(self, frame: str | bytes) -> Payload:
        if isinstance(frame, bytes):
            _refuse("messages are text")
        most = self._max_bytes if self._acknowledged else min(self._max_bytes, self._max_unsigned_bytes)
        if len(frame) > most or len(frame.encode(errors="replace")) > most:
            _refuse(f"a message has at most {most:,} bytes")
        try:
            message = strict_json.decode(frame)
        except strict_json.NotJSON as error:
            _refuse(str(error))
        if not isinstance(message, dict):
            _refuse("a message is an object")
        if not isinstance(message.get("payload"), dict | None):
            _refuse("the payload is an object")
        return message

    def _init(self, message: Payload) -> Command:
        if self._introduced:
            raise Closing(CloseCode.TOO_MANY, "Too many initialisation requests")
        self._introduced = True
        return Authenticate(message.get("payload") or {})

    def _ping(self, message: Payload) -> Command:
        if not self._acknowledged:
            self._early_pings += 1
            if self._early_pings > _MOST_EARLY_PINGS:
                raise Closing(CloseCode.TOO_MANY, "Too many pings before the introduction")
        return Reply(_written(type="pong", **({"payload": message["payload"]} if message.get("payload") else {})))

    def _pong(self, _message: Payload) -> Command:
        return Pong()

    def _subscribe(self, message: Payload) -> Command:
        if not self._acknowledged:
            raise Closing(CloseCode.UNAUTHORIZED, "Unauthorized")
        operation = _operation(_id(message), message.get("payload") or {})
        if operation.id in self._living:
            raise Closing(CloseCode.DUPLICATE_ID, f"Subscriber for {operation.id} already exists")
        self._living[operation.id] = operation
        return operation

    def _complete(self, message: Payload) -> Command:
        return Complete(self._living.pop(_id(message), None))


_HANDLERS = {
    "connection_init": Session._init,
    "ping": Session._ping,
    "pong": Session._pong,
    "subscribe": Session._subscribe,
    "complete": Session._complete,
}


def _refuse(reason: str) -> NoReturn:
    raise Closing(CloseCode.BAD_MESSAGE, f"Invalid message: {reason}")


def _id(message: Payload) -> str:
    id_ = message.get("id")
    if not isinstance(id_, str) or not id_:
        _refuse("the id is text and not empty")
    return id_


def _operation(id_: str, payload: Payload) -> Operation:
    query, variables, name = payload.get("query"), payload.get("variables"), payload.get("operationName")
    if not isinstance(query, str):
        _refuse("the payload's query is text")
    if not isinstance(variables, dict | None) or not isinstance(payload.get("extensions"), dict | None):
        _refuse("the payload's variables and extensions are objects")
    if not isinstance(name, str | None):
        _refuse("the payload's operationName is text")
    return Operation(id_, query, variables or {}, name or None)


# --- writing -------------------------------------------------------------------------------------------------------

PING = '{"type":"ping"}'


def json_text(value: Any) -> str:
    """JSON that a text frame can carry: half a surrogate pair, echoed from a client's value, is written as an escape."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


def next_message(operation: Operation, payload: str) -> str:
    """One result of an operation; `payload` is JSON already, for many operations may share it."""
    return f'{{"id":{json_text(operation.id)},"type":"next","payload":{payload}}}'


def error_message(operation: Operation, errors: list[Payload]) -> str:
    """The operation could not be run, and is over."""
    return _written(id=operation.id, type="error", payload=errors)


def complete_message(operation: Operation) -> str:
    """The operation is over."""
    return _written(id=operation.id, type="complete")


def _written(**message: Any) -> str:
    return json_text(message)
