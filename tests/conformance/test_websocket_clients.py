"""The WebSocket as the clients see it that applications use: graphql-ws in Node, gql in Python."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.accounts.making import make_user, sign_in
from tests.support import gql_environment
from tests.support.factories import make_team
from tests.support.node_packages import CONFORMANCE


@pytest.fixture
def socket(server_url: str) -> tuple[str, str]:
    """The address of the socket, and a token for it."""
    make_user("ann", team=make_team("red"))
    return f"{server_url.replace('http', 'ws')}/graphql", sign_in("ann").access_token


def test_the_client_of_node_works(socket: tuple[str, str], run_node: Callable[..., Any]):
    saw = run_node("follow.cjs", *socket)

    assert saw.pop("pings") > 0
    assert saw == {
        "opened": 2,
        "statuses": ["PENDING", "PENDING", "CANCELLED"],
        "invalid": ["BAD_USER_INPUT"],
        "syntax": ["BAD_USER_INPUT"],
        "field": ["NOT_FOUND"],
        "stranger": 4403,
    }


def test_the_client_of_python_works(socket: tuple[str, str]):
    command = [str(gql_environment.python()), str(CONFORMANCE / "follow_with_gql.py"), *socket]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "statuses": ["PENDING", "CANCELLED"],
        "refused": "NOT_FOUND",
        "at last": {"me": {"username": "ann"}},
    }
