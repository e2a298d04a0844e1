"""The console at /graphql in a real browser, under the policy that the page is served with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from accounts.roles import Role
from tests.integration.accounts.making import PASSWORD, make_user
from tests.support.factories import make_team

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture
def browser() -> str:
    """The program of a browser."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("this needs Chromium: apt-get install chromium")
    return found


def test_a_person_signs_in_asks_and_follows_without_leaving_this_server(
    browser: str, server_url: str, run_node: Callable[..., Any]
):
    make_user("ann", team=make_team("red"), role=Role.ADMIN)

    saw = run_node("console.cjs", browser, server_url, "ann", PASSWORD)

    assert saw == {"hosts": [server_url.removeprefix("http://")], "complaints": []}
