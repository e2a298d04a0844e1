"""A client of a real server of the API, for tests of what the server does while others are away."""

from __future__ import annotations

from typing import Any

import httpx

from accounts.authentication import SignedIn
from tests.integration.accounts.making import PASSWORD
from tests.support.live_server import LiveServer

AT_ONCE, RECOVERY = 2.0, 20.0
CREATE = "mutation ($input: CreateTaskInput!) { createTask(input: $input) { id status } }"
FOLLOW = "subscription ($id: ID!) { taskUpdated(id: $id) { status } }"


class Client:
    """An admin's, of one server."""

    def __init__(self, server: LiveServer, session: SignedIn) -> None:
        self.server, self.session, self.token = server, session, session.access_token
        self.http = httpx.Client(base_url=server.http_url, timeout=30)

    def post(self, query: str, *, is_signed_in: bool = True, **variables: Any) -> httpx.Response:
        """The response to an operation."""
        headers = {"Authorization": f"Bearer {self.token}"} if is_signed_in else {}
        return self.http.post("/graphql", json={"query": query, "variables": variables}, headers=headers)

    def ask(self, query: str, **variables: Any) -> Any:
        """The data of an operation that must succeed, at once."""
        response = self.post(query, **variables)
        assert response.status_code == 200 and "errors" not in response.json(), response.text
        assert response.elapsed.total_seconds() < AT_ONCE, query
        return response.json()["data"]

    def create(self, **request: Any) -> str:
        """Create a task; returns its id."""
        return self.ask(CREATE, input={"name": "send-email", **request})["createTask"]["id"]

    def log_in(self, password: str = PASSWORD) -> httpx.Response:
        """The response to a login over REST."""
        return self.http.post("/auth/login", json={"username": "ann", "password": password})
