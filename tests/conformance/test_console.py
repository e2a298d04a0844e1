"""The console at /graphql in a real browser, under the policy that the page is served with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from accounts.roles import Role
from tests.integration.accounts.making import PASSWORD, make_user
from tests.support.factories import make_team


def test_a_person_signs_in_asks_and_follows_without_leaving_this_server(
    browser: str, server_url: str, run_node: Callable[..., Any]
):
    make_user("ann", team=make_team("red"), role=Role.ADMIN)

    saw = run_node("console.cjs", browser, server_url, "ann", PASSWORD)

    assert saw == {"hosts": [server_url.removeprefix("http://")], "complaints": []}
