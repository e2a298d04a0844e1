"""A server that workers claim from over HTTP, and the claims that wait there."""

from __future__ import annotations

import json
import socket
from typing import Any
from uuid import uuid4

import httpx

from accounts import authentication
from accounts.models import User
from accounts.roles import Role
from tests.integration.graphql.making import make_identity, make_task
from tests.support.live_server import LiveServer
from tests.support.waiting import eventually
from tests.support.worker_client import WorkerClient, over_http

TEAM = "red"


class Api:
    """A server process, and what tests ask it."""

    def __init__(self, server: LiveServer) -> None:
        self.server = server
        self.http = httpx.Client(base_url=server.http_url, timeout=90)

    def worker(self, team: str = TEAM, *handlers: str, **said: Any) -> WorkerClient:
        """A worker of a new account."""
        return WorkerClient(over_http(self.http, token_of(team)), *(handlers or ("send-email",)), **said)


def token_of(team: str) -> str:
    """An access token of a new account of a worker."""
    identity = make_identity(Role.WORKER, team)
    return authentication.sign_in(User.objects.get(pk=identity.user_id)).access_token


def create(team: str = TEAM, **request: Any) -> str:
    """A task of the team; returns its id."""
    return str(make_task(team, **request).pk)


def parked(api: Api, count: int) -> None:
    """Wait until so many claims wait."""
    eventually(lambda: api.server.gauge("dtq_claims_waiting") == count, 30)


def send_claim(api: Api, worker: WorkerClient, token: str, wait_seconds: int = 60) -> socket.socket:
    """Send a claim that waits, by a connection of its own, and read nothing."""
    query = f"""mutation {{ claimTasks(workerId: "{worker.id}", claimId: "{uuid4()}", limit: 1, waitSeconds: {wait_seconds})
        {{ taskId }} }}"""
    body = json.dumps({"query": query})
    connection = socket.create_connection(("127.0.0.1", api.server.port))
    head = ["POST /graphql HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    head += [f"Authorization: Bearer {token}", f"Content-Length: {len(body)}", "", body]
    connection.sendall("\r\n".join(head).encode())
    return connection
