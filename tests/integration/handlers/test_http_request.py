"""`http-request` against a real web server on this machine."""

from __future__ import annotations

import dataclasses
import json
import time
from datetime import timedelta
from email.utils import format_datetime

import pytest

from dtq_site.foundation.clock import host_now
from tasks import Discard, Retry, TaskCancelled
from tasks.handlers import http_request


def test_a_json_answer_becomes_the_result(call, web):
    web.answer("/a", 201, b'{"x": [1, null]}', Content_Type="application/json", Set_Cookie="secret=1", X_Extra="yes")

    result = call(f"{web.url}/a?b=1")

    headers = result.pop("headers")
    assert result == {"status": 201, "url": f"{web.url}/a?b=1", "json": {"x": [1, None]}, "truncated": False}
    assert headers["x-extra"] == "yes"
    assert "set-cookie" not in headers


def test_method_headers_and_json_reach_the_server(call, web):
    call(f"{web.url}/hook", method="post", headers={"X-Key": "k"}, json={"ä": 1})

    (seen,) = web.seen
    assert (seen.method, seen.path, json.loads(seen.body)) == ("POST", "/hook", {"ä": 1})
    assert seen.headers["x-key"] == "k"
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["host"] == f"127.0.0.1:{web.port}"
    assert seen.headers["user-agent"] == "DTQ"
    assert seen.headers["idempotency-key"] == "0190c2a0-0000-7000-8000-000000000001"


def test_a_password_in_the_address_is_used_and_never_shown(call, web):
    web.answer("/", 404)
    address = f"http://ann:secret@127.0.0.1:{web.port}"

    result = call(f"{address}/found")
    with pytest.raises(Discard) as ended:
        call(f"{address}/?key=secret#secret")

    assert web.seen[0].headers["authorization"] == "Basic YW5uOnNlY3JldA=="
    assert result["url"] == f"{web.url}/found"
    assert ended.value.reason == f"GET {web.url}/ answered 404 Not Found."


def test_a_callers_own_idempotency_key_takes_the_place_of_ours(call, web):
    call(web.url, headers={"Idempotency-Key": "mine"})

    assert web.seen[0].headers["idempotency-key"] == "mine"


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        ("grüß".encode(), "text/plain; charset=utf-8", {"body": "grüß"}),
        ("grüß".encode("latin-1"), "text/plain; charset=latin-1", {"body": "grüß"}),
        (b"ok", "text/plain; charset=no-such", {"body": "ok"}),
        (b"\xff\x00", "application/octet-stream", {"body": "\ufffd\x00"}),
        (b"+2AA-", "text/plain; charset=utf-7", {"body": "?"}),
        (b"{broken", "application/json", {"body": "{broken"}),
        (b'{"x": NaN}', "application/json", {"body": '{"x": NaN}'}),
        (b'"\\ud800"', "application/json", {"body": '"\\ud800"'}),
        (b"[" * 60_000, "application/json", {"body": "[" * 60_000}),
        (b"[" * 30 + b"]" * 30, "application/json", {"body": "[" * 30 + "]" * 30}),
        (b"[1]", "application/problem+json", {"json": [1]}),
    ],
    ids=range(11),
)
def test_every_body_becomes_something_that_can_be_stored(call, web, body, content_type, expected):
    web.answer("/", 200, body, Content_Type=content_type)

    result = call(f"{web.url}/")

    assert {key: result[key] for key in result if key in ("json", "body")} == expected


def test_a_long_body_is_cut(call, web):
    web.answer("/", 200, b"x" * 70_000, Content_Type="application/json")

    result = call(f"{web.url}/")

    assert (result["body"], result["truncated"]) == ("x" * 65_536, True)


def test_a_body_without_end_is_left_early(call, web):
    def stream(exchange):
        exchange.send_response(200)
        exchange.end_headers()
        while True:
            exchange.wfile.write(b"x" * 10_000)

    web.answers["/"] = stream

    assert call(f"{web.url}/")["truncated"] is True


def test_a_compressed_body_is_not_unpacked(call, web):
    web.answer("/", 200, b"\x1f\x8b...", Content_Encoding="gzip", Content_Type="text/plain")

    result = call(f"{web.url}/")

    assert result["body"] is None
    assert web.seen[0].headers["accept-encoding"] == "identity"


def test_an_answer_too_large_to_store_keeps_its_status(settings, call, web):
    settings.DTQ_TASKS = dataclasses.replace(settings.DTQ_TASKS, max_json_bytes=1024)
    web.answer("/", 200, b"x" * 1000)

    assert call(f"{web.url}/") == {
        "status": 200, "url": f"{web.url}/", "headers": {}, "body": None, "truncated": True,
    }  # fmt: skip


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422])
def test_most_client_errors_discard_the_task(call, web, status):
    web.answer("/secret-path", status, b"no\n such   thing")

    with pytest.raises(Discard) as ended:
        call(f"{web.url}/secret-path?key=secret")

    assert ended.value.reason.startswith(f"GET {web.url}/secret-path answered {status} ")
    assert ended.value.reason.endswith(": no such thing")
    assert "key" not in ended.value.reason
    assert len(web.seen) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
def test_errors_that_may_pass_are_failed_attempts(call, web, status):
    web.answer("/", status)

    with pytest.raises(Retry) as ended:
        call(f"{web.url}/")

    assert ended.value.delay_seconds is None
    assert ended.value.reason.startswith(f"GET {web.url}/ answered {status} ")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7), ("0", 0), ("999999", 3600), ("soon", None), ("-5", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0)],
)
def test_retry_after_is_honoured_within_bounds(call, web, value, seconds):
    web.answer("/", 503, Retry_After=value)

    with pytest.raises(Retry) as ended:
        call(f"{web.url}/")

    assert ended.value.delay_seconds == seconds


def test_retry_after_may_be_a_date(call, web):
    web.answer("/", 429, Retry_After=format_datetime(host_now() + timedelta(seconds=90), usegmt=True))

    with pytest.raises(Retry) as ended:
        call(f"{web.url}/")

    assert 80 < ended.value.delay_seconds <= 90


def test_no_connection_is_a_failed_attempt(call, web):
    from tests.support.servers import free_port

    url = f"http://127.0.0.1:{free_port()}/"

    with pytest.raises(Retry) as ended:
        call(url)

    assert ended.value.reason == f"GET {url} failed: [Errno 111] Connection refused."


def test_a_broken_answer_is_a_failed_attempt(call, web):
    web.answers["/"] = lambda exchange: exchange.wfile.write(b"nonsense\r\n\r\n")

    with pytest.raises(Retry, match=r"^GET http://.* failed: "):
        call(f"{web.url}/")


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\n\r\n"], ids=["headers", "body"])
def test_the_timeout_bounds_a_server_that_drips(call, web, part):
    def drip(exchange):
        exchange.wfile.write(part)
        for _ in range(100):
            exchange.wfile.write(b"x")
            time.sleep(0.05)

    web.answers["/"] = drip
    began = time.monotonic()

    with pytest.raises(Retry) as ended:
        call(f"{web.url}/", timeout=0.3)

    assert ended.value.reason == f"GET {web.url}/ failed: no answer in time."
    assert time.monotonic() - began < 2


def test_the_tasks_own_time_limit_is_shorter_than_the_timeout(settings, make_context, web):
    settings.DTQ_TASKS = dataclasses.replace(settings.DTQ_TASKS, allow_private_addresses=True)
    web.answers["/"] = lambda exchange: time.sleep(1)

    with pytest.raises(Retry, match="no answer in time"):
        http_request(make_context(timeout_seconds=0.2), url=f"{web.url}/", timeout=60)


def test_a_cancelled_task_stops_reading(call, web, sink):
    def stream(exchange):
        exchange.send_response(200)
        exchange.end_headers()
        sink.cancelled = True
        exchange.wfile.write(b"x")

    web.answers["/"] = stream

    with pytest.raises(TaskCancelled):
        call(f"{web.url}/")
