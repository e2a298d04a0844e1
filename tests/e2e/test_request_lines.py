"""What the API's processes say in the log of the requests that they answer, and what they must not say."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.support.live_server import LiveServer
from tests.support.processes import Processes
from tests.support.servers import free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("committed_db", "redis_server")

SECRET = "S3CRETPW"
LOGIN = f'mutation {{ login(input: {{username: "ann", password: "{SECRET}"}}) {{ accessToken }} }}'


@pytest.mark.parametrize("command", [("serve", "--port"), ("runserver", "--noreload")], ids=lambda each: each[0])
def test_no_line_says_what_an_address_asks(command: tuple[str, str], processes: Processes):
    port = free_port()
    server = LiveServer(processes.manage(*command, str(port), LOG_LEVEL="debug"), port)
    with httpx.Client(transport=httpx.HTTPTransport(retries=30), base_url=server.http_url, timeout=60) as client:
        answers = [
            client.get("/graphql", params={"query": LOGIN}),
            client.get("/auth/login", params={"username": "ann", "password": SECRET}),
            client.get(f"/nowhere?{SECRET}"),
        ]

    eventually(lambda: re.search(r"/nowhere.*404|404.*/nowhere", server.process.output))
    assert [answer.status_code for answer in answers] == [405, 405, 404]
    assert SECRET not in server.process.output


def test_an_answer_is_a_line_with_the_id_of_its_request(processes: Processes):
    port = free_port()
    server = LiveServer(processes.manage("serve", "--port", str(port)), port)
    with httpx.Client(transport=httpx.HTTPTransport(retries=30), base_url=server.http_url, timeout=60) as client:
        client.get("/nowhere?a=1", headers={"X-Request-ID": "r-1"})

    line = r"request\.answered +method=GET path=/nowhere status=404 milliseconds=[\d.]+ request_id=r-1"
    eventually(lambda: re.search(line, server.process.output))
