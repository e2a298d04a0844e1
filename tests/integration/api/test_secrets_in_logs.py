"""Passwords and tokens never reach the log, whatever goes wrong around them."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from accounts import authentication
from tests.integration.accounts.making import PASSWORD, make_user, sign_in

pytestmark = pytest.mark.usefixtures("committed_db", "redis_server")

LOGIN = "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }"


def post(query: str, token: str | None = None, **variables: Any) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    content = {"query": query, "variables": variables}
    return Client().post("/graphql", content, content_type="application/json", headers=headers).json()


def test_neither_a_defect_nor_a_refusal_writes_a_secret(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    make_user("ann")
    pair = sign_in("ann")
    caplog.set_level(logging.DEBUG)

    def defect(**_: Any) -> None:
        raise KeyError("a defect")

    post(LOGIN, input={"username": "ann", "password": "wrong-" + PASSWORD})
    post(LOGIN, input={"username": "ann", "password": [PASSWORD]})
    post("mutation ($t: String!) { refreshToken(refreshToken: $t) { accessToken } }", t=pair.refresh_token + "x")
    post("{ me { username } }", token=pair.access_token + "x")
    monkeypatch.setattr(authentication, "log_in", defect)
    body = post(LOGIN, pair.access_token, input={"username": "ann", "password": PASSWORD})

    error = body["errors"][0]
    assert error["message"] == "Something went wrong on our side."
    assert error["extensions"]["code"] == "INTERNAL"
    assert error["extensions"]["id"] in caplog.text  # so this did catch what was logged
    for secret in (PASSWORD, pair.access_token, pair.refresh_token):
        assert secret not in caplog.text
