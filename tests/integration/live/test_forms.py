"""The form to sign in, sent to a real server as a proxy that speaks TLS hands it on."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest

from tests.integration.accounts.making import PASSWORD, make_user
from tests.support.live_server import LiveServer

HOSTS = "127.0.0.1,dtq.example.com,.example.org"


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("dtq.example.com", "https://dtq.example.com", 302),
        ("a.example.org", "https://a.example.org", 302),
        ("dtq.example.com", "https://evil.example", 403),
        ("elsewhere.example", "https://elsewhere.example", 400),
    ],
)
def test_a_form_is_taken_from_the_hosts_of_the_installation_alone(
    start_server: Callable[..., LiveServer], host: str, origin: str, status: int
):
    make_user("ann")
    server = start_server(DTQ_ALLOWED_HOSTS=HOSTS)
    shown = httpx.get(f"{server.http_url}/sign-in", headers={"Host": "dtq.example.com", "Accept": "text/html"})
    (token,) = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', shown.text)

    answer = httpx.post(
        f"{server.http_url}/sign-in",
        data={"username": "ann", "password": PASSWORD, "csrfmiddlewaretoken": token},
        headers={"Host": host, "Origin": origin, "Cookie": f"csrftoken={shown.cookies['csrftoken']}"},
    )

    assert answer.status_code == status
    assert ("sessionid" in answer.cookies) == (status == 302)
