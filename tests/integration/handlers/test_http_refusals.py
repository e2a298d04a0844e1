"""`http-request`: the redirects that it follows, and the requests that it refuses."""

from __future__ import annotations

import json

import pytest

from tasks import Discard
from tasks.handlers import http_request

# --- redirects -----------------------------------------------------------------------------------------------------


def test_redirects_are_followed(call, web):
    web.answer("/one", 302, Location="/two")
    web.answer("/two", 307, Location=f"{web.url}/three")
    web.answer("/three", 200, b"there")

    result = call(f"{web.url}/one", method="POST", headers={"X-Key": "k"}, json=[1])

    assert (result["url"], result["body"]) == (f"{web.url}/three", "there")
    assert [(seen.method, seen.path, seen.body) for seen in web.seen] == [
        ("POST", "/one", b"[1]"), ("GET", "/two", b""), ("GET", "/three", b""),
    ]  # fmt: skip
    assert web.seen[2].headers["x-key"] == "k"


def test_a_307_keeps_method_and_body_but_no_secret_leaves_the_origin(call, web, other_web):
    web.answer("/", 307, Location=f"{other_web.url}/there", Set_Cookie="session=1")

    call(
        f"{web.url}/", method="PUT", headers={"X-Key": "k", "Authorization": "Bearer t", "Cookie": "c=1"}, json={"a": 1}
    )

    (seen,) = other_web.seen
    assert (seen.method, seen.path, json.loads(seen.body)) == ("PUT", "/there", {"a": 1})
    assert set(seen.headers) == {
        "host", "accept", "accept-encoding", "connection", "content-type", "content-length", "user-agent",
    }  # fmt: skip


def test_a_circle_of_redirects_ends(call, web):
    web.answer("/", 302, Location="/")

    with pytest.raises(Discard) as ended:
        call(f"{web.url}/")

    assert ended.value.reason == f"{web.url}/ is redirect number 6; at most 5 are followed."
    assert len(web.seen) == 6


def test_a_redirect_to_another_scheme_is_refused(call, web):
    web.answer("/", 302, Location="ftp://127.0.0.1/file")

    with pytest.raises(Discard, match="the address must begin with http:// or https:// and a host"):
        call(f"{web.url}/")


# --- what is refused before anything is sent -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"url": "ftp://127.0.0.1/"},
         "'ftp://127.0.0.1/' cannot be called: the address must begin with http:// or https:// and a host."),
        ({"url": "127.0.0.1"},
         "'127.0.0.1' cannot be called: the address must begin with http:// or https:// and a host."),
        ({"url": "http://"},
         "'http:' cannot be called: the address must begin with http:// or https:// and a host."),
        ({"url": "http://[::1"}, "GET 'http://[::1' cannot be sent: Invalid port: ':1'."),
        ({"url": "http://127.0.0.1:99999/"}, "'http://127.0.0.1:99999/' cannot be called: there is no port 99999."),
        ({"url": 5}, "http-request: url and method must be text."),
        ({"method": "TRACE"}, "'TRACE' is no method: use one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS."),
        ({"headers": ["a"]}, "http-request: headers must be an object of names and values."),
        ({"headers": {"Host": "x", "content-LENGTH": "1"}},
         "The headers content-length, host follow from the request; leave them out."),
        ({"timeout": 0}, "http-request: timeout must be above 0 and at most 300 seconds."),
        ({"timeout": 301}, "http-request: timeout must be above 0 and at most 300 seconds."),
        ({"timeout": "1"}, "http-request: timeout must be above 0 and at most 300 seconds."),
    ],
)  # fmt: skip
def test_bad_requests_are_discarded(call, web, arguments, reason):
    with pytest.raises(Discard) as ended:
        call(**{"url": web.url, **arguments})

    assert ended.value.reason == reason
    assert web.seen == []


@pytest.mark.parametrize("headers", [{"X-Bad": "a\r\nInjected: 1"}, {"X Bad": "a"}, {"X-Bad": 5}, {"X-Bad": "ä\u20ac"}])
def test_headers_that_cannot_be_sent_are_discarded(call, web, headers):
    with pytest.raises(Discard, match="cannot be sent"):
        call(f"{web.url}/", headers=headers)

    assert web.seen == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"])
def test_private_addresses_are_refused_by_default(make_context, web, host):
    url = f"http://{host}:{web.port}/"

    with pytest.raises(Discard) as ended:
        http_request(make_context(), url=url)

    assert ended.value.reason.startswith(f"{url} may not be called: ")
    assert "which is not on the public internet" in ended.value.reason
    assert web.seen == []
