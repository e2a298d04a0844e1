"""POST /auth/login, /auth/refresh and /auth/logout."""

from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

import pytest
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings
from redis import Redis

from accounts import authentication
from accounts.models import RevokedSession
from dtq_site import endpoint
from dtq_site.api.rate_limits import RateLimits
from tests.integration.accounts.making import PASSWORD, make_user, sign_in

pytestmark = [pytest.mark.django_db, pytest.mark.urls("accounts.urls")]


def post(path: str, body: object, **headers: str) -> HttpResponse:
    return Client(enforce_csrf_checks=True).post(path, body, content_type="application/json", headers=headers)


def error_of(response: HttpResponse) -> tuple[int, str, str | None]:
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "field"}
    assert body["error"]["message"]
    return response.status_code, body["error"]["code"], body["error"]["field"]


@pytest.mark.parametrize(
    "login", [{"username": "ann"}, {"username": "ann@example.com"}, {"email": "Ann@example.com"}, {"email": "ann"}]
)
def test_login_answers_with_tokens_and_user(login: dict):
    user = make_user("ann")

    response = post("/auth/login", {**login, "password": PASSWORD})

    body = response.json()
    assert response.status_code == 200
    assert set(body) == {"access_token", "refresh_token", "token_type", "expires_in", "user"}
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 86_400)
    assert body["user"] == {"id": str(user.id), "username": "ann", "email": "ann@example.com", "role": "user"}
    assert response["Cache-Control"] == "no-store"
    assert response["Content-Type"] == "application/json"
    assert authentication.identity_from_token(body["access_token"]).user_id == user.id


def test_a_wrong_password_and_an_unknown_user_get_the_same_bytes():
    make_user("ann")

    wrong = post("/auth/login", {"username": "ann", "password": "wrong"})
    unknown = post("/auth/login", {"username": "nobody", "password": "wrong"})

    assert error_of(wrong) == (401, "UNAUTHENTICATED", None)
    assert (unknown.status_code, unknown.content) == (wrong.status_code, wrong.content)


def test_too_many_failures_say_when_to_come_back(settings: Settings):
    settings.DTQ_ACCOUNTS = replace(settings.DTQ_ACCOUNTS, login_failures_per_account=1)
    make_user("ann")
    post("/auth/login", {"username": "ann", "password": "wrong"})

    response = post("/auth/login", {"username": "ann", "password": PASSWORD})

    assert error_of(response) == (429, "RATE_LIMITED", None)
    assert 55 <= int(response["Retry-After"]) <= 60


def test_the_address_is_the_peers_unless_proxies_are_trusted(settings: Settings):
    settings.DTQ_ACCOUNTS = replace(settings.DTQ_ACCOUNTS, login_failures_per_address=1)
    body = {"username": "nobody", "password": "wrong"}
    header = {"X-Forwarded-For": "198.51.100.1"}
    post("/auth/login", body)

    assert post("/auth/login", body, **header).status_code == 429

    settings.DTQ_ACCOUNTS = replace(settings.DTQ_ACCOUNTS, trusted_proxies=1)
    assert post("/auth/login", body, **header).status_code == 401
    assert post("/auth/login", body, **header).status_code == 429


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("", "username"),
        ({"email": "", "password": "secret"}, "email"),
        ({"username": "ann"}, "password"),
        ({"password": "secret"}, "username"),
        ({"username": "", "password": "secret"}, "username"),
        ({"username": ["ann"], "password": "secret"}, "username"),
        ({"username": "ann", "password": 1}, "password"),
        ({"username": "ann", "password": "\ud800"}, "password"),
    ],
)
def test_a_missing_or_misshapen_value_is_named(body: object, field: str):
    assert error_of(post("/auth/login", body)) == (400, "BAD_USER_INPUT", field)


def test_nobody_signs_in_without_a_name_or_an_address():
    assert post("/auth/login", {}).json()["error"]["message"] == "Give 'username' or 'email'."


@pytest.mark.parametrize("body", ["{", "[]", "null", '"text"', '{"username": NaN}', "[" * 8000, b"\xff"])
def test_a_body_that_is_no_json_object_is_refused(body: object):
    assert error_of(post("/auth/login", body)) == (400, "BAD_USER_INPUT", None)


def test_a_body_that_is_too_large_is_refused_unread():
    assert error_of(post("/auth/login", {"username": "a" * 20_000, "password": "b"})) == (
        413,
        "PAYLOAD_TOO_LARGE",
        None,
    )


def test_only_json_and_only_post_are_taken():
    form = Client().post("/auth/login", {"username": "ann", "password": PASSWORD})
    fetched = Client().get("/auth/login")

    assert error_of(form) == (415, "UNSUPPORTED_MEDIA_TYPE", None)
    assert form.json()["error"]["message"] == "Send the request as application/json in UTF-8."
    assert error_of(fetched) == (405, "METHOD_NOT_ALLOWED", None)
    assert fetched.json()["error"]["message"] == "This address takes POST and OPTIONS only."
    assert fetched["Allow"] == "POST, OPTIONS"


def test_a_client_that_takes_no_json_is_told_so():
    assert error_of(post("/auth/login", {}, Accept="text/html")) == (406, "NOT_ACCEPTABLE", None)


@pytest.mark.parametrize(
    "error", [OperationalError(2006, "Server has gone away"), OperationalError("database is locked")], ids=str
)
def test_a_database_that_is_away_or_busy_is_not_a_wrong_password(error: Exception, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(authentication, "log_in", raising(error))

    response = post("/auth/login", {"username": "ann", "password": PASSWORD})

    assert error_of(response) == (503, "UNAVAILABLE", None)
    assert response["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/auth/login", "/auth/refresh", "/auth/logout"])
@pytest.mark.parametrize("debug", [True, False])
def test_a_fault_of_ours_is_masked_and_logged_under_its_id(
    path: str,
    debug: bool,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    settings.DEBUG = debug
    for verb in ("log_in", "refresh", "log_out"):
        monkeypatch.setattr(authentication, verb, raising(KeyError("an inner matter")))

    response = post(path, {"username": "ann", "password": PASSWORD, "refresh_token": "x"})

    error = response.json()["error"]
    assert response.status_code == 500
    assert error == {
        "code": "INTERNAL",
        "message": "Something went wrong on our side.",
        "field": None,
        "id": error["id"],
    }
    (line,) = [record.msg for record in caplog.records if record.name == "dtq.api"]
    assert (line["event"], line["path"], line["id"]) == ("rest.failed", path, error["id"])
    assert "KeyError: 'an inner matter'" in line["trace"]
    assert PASSWORD not in str(line)


def raising(error: Exception) -> Callable:
    def function(*_: object, **__: object) -> NoReturn:
        raise error

    return function


def test_refresh_rotates_and_refuses_the_spent_token():
    make_user("ann")
    first = post("/auth/login", {"username": "ann", "password": PASSWORD}).json()

    response = post("/auth/refresh", {"refresh_token": first["refresh_token"]})

    second = response.json()
    assert response.status_code == 200
    assert second["user"] == first["user"]
    assert authentication.identity_from_token(second["access_token"]).username == "ann"
    again = post("/auth/refresh", {"refresh_token": first["refresh_token"]})
    assert error_of(again) == (401, "UNAUTHENTICATED", None)
    assert error_of(post("/auth/refresh", {"refresh_token": second["refresh_token"]}))[0] == 401


def test_refresh_needs_a_token():
    assert error_of(post("/auth/refresh", {})) == (400, "BAD_USER_INPUT", "refresh_token")


def test_logout_ends_the_session_of_the_refresh_token():
    make_user("ann")
    signed_in = sign_in()

    response = post("/auth/logout", {"refresh_token": signed_in.refresh_token})

    assert (response.status_code, response.content) == (204, b"")
    assert error_of(post("/auth/logout", {"refresh_token": signed_in.refresh_token}))[0] == 401
    assert error_of(post("/auth/logout", {}, Authorization=f"Bearer {signed_in.access_token}"))[0] == 401


def test_logout_without_a_refresh_token_ends_the_session_of_the_header():
    make_user("ann")
    signed_in = sign_in()

    response = post("/auth/logout", {}, Authorization=f"Bearer {signed_in.access_token}")

    assert response.status_code == 204
    assert error_of(post("/auth/refresh", {"refresh_token": signed_in.refresh_token}))[0] == 401


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer"}, {"Authorization": "Basic YW5uOmFubg=="}])
def test_logout_of_nobody_is_refused(header: dict):
    assert error_of(post("/auth/logout", {}, **header)) == (401, "UNAUTHENTICATED", None)
    assert RevokedSession.objects.count() == 0


@pytest.mark.parametrize("path", ["/auth/login", "/auth/refresh", "/auth/logout"])
def test_requests_count_for_their_address_whether_their_tokens_hold_or_not(
    path: str, redis_server: Redis, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(endpoint, "rate_limits", RateLimits(redis_server, rate=1, burst=2))
    body = {"refresh_token": "forged", "username": "ann", "password": "wrong"}

    answers = [post(path, body) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert answers[2]["Retry-After"] == "1"
    assert error_of(answers[2])[1] == "RATE_LIMITED"
