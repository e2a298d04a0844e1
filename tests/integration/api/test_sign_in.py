"""Signing in to the pages, and the tokens that a page gets for the API."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings
from redis import Redis

from accounts import authentication, registration
from accounts.models import RevokedSession, User
from accounts.roles import Role
from dtq_site.foundation.clock import host_now
from dtq_site.foundation.errors import Unauthenticated
from dtq_site.sign_in import TOKEN_LIFETIME
from tests.integration.accounts.making import PASSWORD, change_password, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fast_and_uncounted(settings: Settings, redis_server: Redis) -> None:
    """Hash in microseconds, and forget the logins of other tests."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def enter(client: Client, login: str = "ann", password: str = PASSWORD, **fields: str) -> HttpResponse:
    return client.post("/sign-in", {"username": login, "password": password, **fields})


def problem(response: HttpResponse) -> str:
    assert response.status_code == 200
    (text,) = re.findall(r'role="alert">([^<]*)<', response.content.decode())
    return text


def token_of(client: Client) -> str:
    response = client.post("/sign-in/token")
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    return response.json()["accessToken"]


@pytest.mark.parametrize("login", ["ann", "ANN", "ann@example.com"])
@pytest.mark.parametrize("role", [Role.VIEWER, Role.USER, Role.ADMIN])
def test_people_come_in_and_the_cookie_is_out_of_the_reach_of_scripts_and_other_sites(login: str, role: Role):
    make_user("ann", role=role)
    client = Client()

    response = enter(client, login, next="/tasks?status=FAILED")

    assert (response.status_code, response["Location"]) == (302, "/tasks?status=FAILED")
    cookie = response.cookies["sessionid"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    assert cookie["max-age"] == timedelta(days=14).total_seconds()


@pytest.mark.parametrize("path", ["https://evil.example/", "//evil.example", "javascript:alert(1)", ""])
def test_nobody_is_led_elsewhere(path: str):
    make_user("ann")

    assert enter(Client(), next=path)["Location"] == "/"


def test_a_wrong_password_an_unknown_name_and_an_inactive_account_are_told_alike():
    make_user("ann")
    registration.update_user(make_user("bob").id, {"is_active": False})
    client = Client()

    told = {problem(enter(client, *each)) for each in [("ann", "wrong"), ("nobody", PASSWORD), ("bob", PASSWORD)]}

    assert told == {"The account or the password is wrong."}
    assert problem(enter(client, "", "")) == "Give a user name and a password."
    assert not Session.objects.exists()


def test_the_door_counts_failures_like_the_api():
    make_user("ann")
    client = Client()
    for _ in range(10):
        assert problem(enter(client, "ann", "wrong")) == "The account or the password is wrong."

    assert problem(enter(client)) == "Too many failed logins: wait and try again."


def test_the_account_of_a_worker_stays_out():
    make_user("boat", role=Role.WORKER)
    client = Client()

    assert problem(enter(client, "boat")) == "This account is a worker&#x27;s; the pages are for people."
    assert client.post("/sign-in/token").status_code == 401


def test_a_form_of_another_site_neither_signs_in_nor_gets_a_token_nor_signs_out():
    make_user("ann")
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get())

    assert [client.post(path).status_code for path in ("/sign-in", "/sign-in/token", "/sign-out")] == [403] * 3
    assert client.get("/").context["user"].username == "ann"


def test_the_cookie_opens_nothing_of_the_api():
    make_user("ann")
    client = Client()
    client.force_login(User.objects.get())

    answer = client.post("/graphql", {"query": "{ tasks { id } }"}, content_type="application/json").json()

    assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


def test_a_page_gets_a_token_that_is_short_lived():
    user = make_user("ann", role=Role.USER)
    client = Client()
    enter(client)

    response = client.post("/sign-in/token").json()
    access = authentication.authenticate(response["accessToken"])

    assert access.identity == user.identity
    assert response["expiresIn"] == TOKEN_LIFETIME.total_seconds()
    assert timedelta(0) < access.expires_at - host_now() <= TOKEN_LIFETIME


def test_pages_that_are_opened_at_once_after_the_sign_in_share_a_session():
    make_user("ann")
    client, other = Client(), Client()

    enter(client)
    before = dict(client.session)
    other.cookies = client.cookies.copy()
    ids = {authentication.authenticate(token_of(each)).session_id for each in (client, other)}

    assert len(ids) == 1
    assert dict(client.session) == before


def test_all_tokens_of_a_session_end_when_its_owner_signs_out():
    make_user("ann")
    client, other = Client(), Client()
    enter(client)
    enter(other)
    tokens, kept = [token_of(client), token_of(client)], token_of(other)

    response = client.post("/sign-out")

    assert (response.status_code, response["Location"]) == (302, "/")
    for token in tokens:
        with pytest.raises(Unauthenticated):
            authentication.authenticate(token)
    assert authentication.authenticate(kept).identity.username == "ann"
    assert client.post("/sign-in/token").status_code == 401
    assert RevokedSession.objects.count() == 1


def test_they_end_as_well_where_the_session_ends_in_the_admin():
    make_user("root", role=Role.ADMIN)
    client = Client()
    enter(client, "root")
    token = token_of(client)

    client.post("/admin/logout/")

    with pytest.raises(Unauthenticated):
        authentication.authenticate(token)


def test_a_session_ends_with_the_password_and_with_the_account():
    ann, bob = make_user("ann"), make_user("bob")
    of_ann, of_bob = Client(), Client()
    enter(of_ann)
    enter(of_bob, "bob")

    change_password(ann, "another fine day")
    registration.update_user(bob.id, {"is_active": False})

    assert [client.post("/sign-in/token").status_code for client in (of_ann, of_bob)] == [401, 401]
    assert 'name="password"' in of_ann.get("/").content.decode()


def test_the_form_has_an_address_of_its_own_under_the_policy_of_all_pages():
    response = Client().get("/sign-in")

    assert 'name="password"' in response.content.decode()
    assert "script-src 'self';" in response["Content-Security-Policy"]
    assert response["Content-Security-Policy"] == enter(Client(), "nobody")["Content-Security-Policy"]
