"""Passwords and tokens reach neither logs nor errors nor the audit log."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest
from django.test import Client
from pytest_django import Settings

from accounts import tokens
from accounts.models import AuditEntry, User
from accounts.roles import Role
from dtq_site.foundation.logging import logging_config
from tests.integration.accounts.making import PASSWORD, make_user, sign_in

pytestmark = pytest.mark.usefixtures("committed_db")

RIGHT, WRONG, WEAK, NEW, ISSUED = (
    "right-horse-4711",
    "wrong-horse-4712",
    "87654321",
    "newer-horse-4713",
    "given-horse-4714",
)
REGISTER = "mutation ($input: RegisterInput!) { register(input: $input) { accessToken refreshToken } }"
LOGIN = "mutation ($input: LoginInput!) { login(input: $input) { accessToken refreshToken } }"
REFRESH = "mutation ($token: String!) { refreshToken(refreshToken: $token) { accessToken refreshToken } }"
CHANGE = "mutation ($current: String!, $new: String!) { changePassword(current: $current, new: $new) }"
LOGOUT = "mutation ($token: String) { logout(refreshToken: $token) }"
SET = "mutation ($id: ID!, $new: String!) { setPassword(id: $id, password: $new) { id } }"


class Transcript:
    """Requests as they go over HTTP, and all that was said about them."""

    def __init__(self) -> None:
        self.client = Client(raise_request_exception=False)
        self.errors: list[str] = []
        self.secrets = {RIGHT, WRONG, WEAK, NEW, ISSUED}

    def post(self, path: str, body: object, bearer: str | None = None) -> dict:
        """The JSON of the answer; tokens in it are secrets, errors in it must hold none."""
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        response = self.client.post(path, json.dumps(body), content_type="application/json", headers=headers)
        answer = response.json() if response.content else {}
        self.errors += [json.dumps(answer[key]) for key in ("errors", "error") if key in answer]
        self._keep_tokens(answer)
        return answer

    def ask(self, query: str, bearer: str | None = None, **variables: object) -> dict:
        """The data of the answer."""
        return self.post("/graphql", {"query": query, "variables": variables}, bearer).get("data") or {}

    def _keep_tokens(self, value: object) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                if isinstance(inner, str) and key in ("accessToken", "refreshToken", "access_token", "refresh_token"):
                    self.secrets.add(inner)
                    self.secrets.add(inner.rpartition(".")[2])
                self._keep_tokens(inner)


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The loggers write as much as they ever do, with LOG_LEVEL=debug, and those of all libraries besides."""
    loggers = logging_config("debug", as_json=True, colours=False)["loggers"]
    before = {name: logging.getLogger(name).level for name in loggers}
    for name in loggers:
        logging.getLogger(name).setLevel(loggers[name]["level"])
    with caplog.at_level(logging.DEBUG):
        yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def whole_life(transcript: Transcript, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that an account lives through, refusals and a fault of ours included."""
    ask, post = transcript.ask, transcript.post
    for password in (WEAK, RIGHT):
        ask(REGISTER, input={"email": "ann@example.com", "password": password})
    ask(REGISTER, input={"email": "ann@example.com", "password": RIGHT})
    ask(REGISTER, input={"email": "bob@example.com", "password": RIGHT, "nonsense": 1})
    ask(REGISTER.replace("$input)", f'{{email: "b", password: "{RIGHT}", n: 1}})'), input={})
    for password in (WRONG, RIGHT):
        signed_in = ask(LOGIN, input={"email": "ann@example.com", "password": password})
        post("/auth/login", {"username": "ann@example.com", "password": password})
    ask(LOGIN, input={"email": RIGHT, "password": WRONG})  # typed into the wrong field
    post("/auth/login", {"username": RIGHT, "password": [RIGHT]})
    first = signed_in["login"]
    second = ask(
        REFRESH,
        token=first["refreshToken"],
    )["refreshToken"]
    ask(REFRESH, token=first["refreshToken"])
    post("/auth/refresh", {"refresh_token": second["refreshToken"]})
    first = ask(LOGIN, input={"email": "ann@example.com", "password": RIGHT})["login"]
    for current, new in ((WRONG, NEW), (RIGHT, WEAK), (RIGHT, NEW)):
        ask(CHANGE, first["accessToken"], current=current, new=new)
    root = sign_in("root").access_token
    ask(SET, root, id=str(User.objects.get(email="ann@example.com").id), new=ISSUED)
    ask(LOGOUT, token=first["refreshToken"])
    post("/auth/logout", {"refresh_token": first["refreshToken"]})
    with monkeypatch.context() as patch:
        patch.setattr(tokens, "issue", lambda *_: 1 / 0)
        ask(LOGIN, input={"email": "ann@example.com", "password": ISSUED})
        post("/auth/login", {"username": "ann@example.com", "password": ISSUED})


@pytest.mark.usefixtures("everything_logged")
@pytest.mark.parametrize("debug", [True, False])
def test_a_whole_life_of_an_account_leaves_no_secret(
    debug: bool,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    settings.DEBUG = debug
    settings.DTQ_ACCOUNTS = replace(settings.DTQ_ACCOUNTS, login_failures_per_account=100)
    make_user("root", role=Role.ADMIN, password=PASSWORD)
    transcript = Transcript()

    whole_life(transcript, monkeypatch)

    lines = [f"{record.getMessage()} {record.exc_text or ''}" for record in caplog.records]
    told = "\n".join([*lines, *capfd.readouterr(), *transcript.errors, *map(str, AuditEntry.objects.values())])
    assert len(transcript.errors) >= 12 and told.count("ZeroDivisionError") >= 2
    assert len(transcript.secrets) >= 15
    assert [secret for secret in sorted(transcript.secrets) if secret in told] == []
