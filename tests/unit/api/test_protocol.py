"""graphql-transport-ws, message by message: what is legal when, and with which code the socket is closed for what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dtq_site.api.protocol import (
    Authenticate,
    CloseCode,
    Closing,
    Complete,
    Operation,
    Pong,
    Reply,
    Session,
    complete_message,
    error_message,
    json_text,
    next_message,
)

INIT = {"type": "connection_init"}
SUBSCRIBE = {"id": "1", "type": "subscribe", "payload": {"query": "{ a }"}}


def new_session() -> Session:
    return Session(opened_at=100.0, init_seconds=5.0, max_bytes=1000, max_unsigned_bytes=500)


def acknowledged() -> Session:
    session = new_session()
    take(session, INIT)
    session.acknowledge()
    return session


def take(session: Session, message: Any) -> Any:
    return session.take(message if isinstance(message, str | bytes) else json.dumps(message))


def closing(session: Session, message: Any) -> tuple[CloseCode, str]:
    with pytest.raises(Closing) as caught:
        take(session, message)
    return caught.value.code, caught.value.reason


# --- introduction --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "payload"),
    [
        (INIT, {}),
        ({**INIT, "payload": None}, {}),
        ({**INIT, "payload": {"token": "x"}}, {"token": "x"}),
    ],
)
def test_an_introduction_asks_for_authentication(message: dict, payload: dict):
    assert take(new_session(), message) == Authenticate(payload)


def test_the_acknowledgement_is_a_message():
    session = new_session()
    take(session, INIT)

    assert json.loads(session.acknowledge()) == {"type": "connection_ack"}


def test_a_second_introduction_closes():
    assert closing(acknowledged(), INIT) == (4429, "Too many initialisation requests")


def test_a_second_introduction_closes_although_the_first_is_not_answered():
    session = new_session()
    take(session, INIT)

    assert closing(session, INIT)[0] == 4429


def test_an_introduction_has_its_time():
    session = new_session()

    session.check_time(104.9)
    with pytest.raises(Closing) as caught:
        session.check_time(105.0)

    assert (caught.value.code, caught.value.reason) == (4408, "Connection initialisation timeout")


def test_who_has_introduced_itself_has_all_the_time():
    session = new_session()
    take(session, INIT)

    session.check_time(1000.0)
    assert not session.awaits_introduction


# --- pings ---------------------------------------------------------------------------------------------------------


def test_a_ping_is_answered_at_any_time():
    for session in (new_session(), acknowledged()):
        assert take(session, {"type": "ping"}) == Reply('{"type":"pong"}')
        assert take(session, {"type": "ping", "payload": {"n": 1}}) == Reply('{"type":"pong","payload":{"n":1}}')


def test_a_pong_is_noted():
    assert take(new_session(), {"type": "pong"}) == Pong()


# --- operations ----------------------------------------------------------------------------------------------------


def test_an_operation_lives_until_it_is_completed():
    session = acknowledged()

    operation = take(session, {**SUBSCRIBE, "payload": {"query": "{ a }", "variables": {"n": 1}, "operationName": "A"}})

    assert (operation.id, operation.query, operation.variables, operation.name) == ("1", "{ a }", {"n": 1}, "A")
    assert session.lives(operation)
    assert take(session, {"id": "1", "type": "complete"}) == Complete(operation)
    assert not session.lives(operation)
    assert session.living == 0


def test_what_a_payload_leaves_out_or_has_as_null_is_empty():
    session = acknowledged()

    operation = take(session, {**SUBSCRIBE, "payload": {"query": "{ a }", "variables": None, "operationName": None}})

    assert (operation.variables, operation.name) == ({}, None)


def test_an_operation_before_the_acknowledgement_closes():
    session = new_session()
    take(session, INIT)

    assert closing(session, SUBSCRIBE) == (4401, "Unauthorized")


def test_an_id_in_use_closes():
    session = acknowledged()
    take(session, SUBSCRIBE)

    assert closing(session, SUBSCRIBE) == (4409, "Subscriber for 1 already exists")


def test_an_id_may_be_used_again_and_means_the_later_operation():
    session = acknowledged()
    first = take(session, SUBSCRIBE)
    take(session, {"id": "1", "type": "complete"})

    second = take(session, SUBSCRIBE)

    assert not session.lives(first)
    assert session.lives(second)


def test_an_operation_that_ended_by_itself_frees_its_id():
    session = acknowledged()
    session.end(take(session, SUBSCRIBE))

    assert isinstance(take(session, SUBSCRIBE), Operation)


def test_completing_what_is_over_changes_nothing():
    assert take(acknowledged(), {"id": "unknown", "type": "complete"}) == Complete(None)


# --- messages that nobody may send ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        "",
        "no json",
        '{"type": NaN}',
        b"{}",
        [],
        [INIT],
        "null",
        {},
        {"type": 1},
        {"type": ["ping"]},
        {"type": "connection_ack"},
        {"type": "next", "id": "1", "payload": {}},
        {"type": "error", "id": "1", "payload": []},
        {"type": "start", "id": "1", "payload": {"query": "{ a }"}},
        {"type": "ping", "payload": "text"},
        {"type": "pong", "payload": []},
        {"type": "complete"},
        {"type": "complete", "id": ""},
        {"type": "complete", "id": 1},
        {**SUBSCRIBE, "id": None},
        {**SUBSCRIBE, "id": ""},
        {**SUBSCRIBE, "payload": None},
        {**SUBSCRIBE, "payload": {}},
        {**SUBSCRIBE, "payload": {"query": 1}},
        {**SUBSCRIBE, "payload": {"query": "{ a }", "variables": []}},
        {**SUBSCRIBE, "payload": {"query": "{ a }", "extensions": "x"}},
        {**SUBSCRIBE, "payload": {"query": "{ a }", "operationName": 1}},
        {"type": "ping", "payload": {"much": "x" * 1000}},
    ],
)
def test_a_bad_message_closes(message: Any):
    session = acknowledged()

    code, reason = closing(session, message)

    assert code == 4400
    assert reason.startswith("Invalid message: ")
    assert session.living == 0


@pytest.mark.parametrize("payload", ["text", [], 1])
def test_an_introduction_with_another_payload_than_an_object_closes(payload: Any):
    session = new_session()

    assert closing(session, {**INIT, "payload": payload})[0] == 4400
    assert session.awaits_introduction


def test_the_size_of_a_message_is_counted_in_bytes():
    session = acknowledged()
    largest = json.dumps({"type": "ping", "payload": {"": ""}}, ensure_ascii=False)

    assert isinstance(take(session, largest + " " * (1000 - len(largest))), Reply)
    assert closing(session, largest + " " * (1001 - len(largest)))[0] == 4400
    assert closing(session, json.dumps({"type": "ping", "payload": {"a": "é" * 500}}, ensure_ascii=False))[0] == 4400


def test_who_is_not_known_yet_may_send_less_at_once():
    ping = json.dumps({"type": "ping"})

    for session in (new_session(), acknowledged()):
        assert isinstance(take(session, ping.ljust(500)), Reply)
    assert closing(new_session(), ping.ljust(501)) == (4400, "Invalid message: a message has at most 500 bytes")
    assert isinstance(take(acknowledged(), ping.ljust(501)), Reply)


def test_who_is_not_known_yet_is_answered_few_pings():
    known, unknown = acknowledged(), new_session()

    for session in (known, unknown):
        assert [type(take(session, {"type": "ping"})) for _ in range(10)] == [Reply] * 10
    assert closing(unknown, {"type": "ping"}) == (4429, "Too many pings before the introduction")
    assert isinstance(take(known, {"type": "ping"}), Reply)


def test_a_reason_fits_into_a_close_frame():
    assert Closing(CloseCode.BAD_MESSAGE, "é" * 100).reason == "é" * 61


# --- writing -------------------------------------------------------------------------------------------------------


def test_results_are_written_around_their_json():
    operation = Operation('a"b', "{ a }", {}, None)

    assert json.loads(next_message(operation, '{"data":{"a":1}}')) == {
        "id": 'a"b',
        "type": "next",
        "payload": {"data": {"a": 1}},
    }
    assert json.loads(error_message(operation, [{"message": "no"}])) == {
        "id": 'a"b',
        "type": "error",
        "payload": [{"message": "no"}],
    }
    assert json.loads(complete_message(operation)) == {"id": 'a"b', "type": "complete"}


def test_what_has_no_utf8_is_written_as_an_escape():
    assert json_text({"a": "\ud83d", "b": "😀"}) == '{"a":"\\ud83d","b":"😀"}'
