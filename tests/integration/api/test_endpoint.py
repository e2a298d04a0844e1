"""The endpoint `/graphql` as clients meet it: accounts, tokens, threads, and the whole of the middleware."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from accounts import authentication
from accounts.models import User
from dtq_site import endpoint
from dtq_site.api import context
from dtq_site.foundation.errors import RateLimited
from dtq_site.foundation.scalars import DateTime
from dtq_site.schema import schema
from tests.integration.accounts.making import PASSWORD, edit, make_user, sign_in
from tests.support.api import ask

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture(autouse=True)
def fast_hashing(settings: Settings) -> None:
    """Hash in microseconds."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def post(query: str, token: str | None = None, path: str = "/graphql", **variables: Any) -> HttpResponse:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    content = {"query": query, "variables": variables}
    return Client(enforce_csrf_checks=True).post(path, content, content_type="application/json", headers=headers)


def test_a_token_opens_the_account_that_it_was_given_to():
    make_user("ann")
    token = sign_in("ann").access_token

    response = post("{ me { username role } }", token)

    assert response.status_code == 200
    assert response.json() == {"data": {"me": {"username": "ann", "role": "USER"}}}


def test_who_sends_too_many_is_refused_by_the_token_alone(monkeypatch: pytest.MonkeyPatch):
    def refuse(user_id: UUID) -> None:
        raise RateLimited(retry_after_seconds=2.5 if user_id == user.id else 0)

    user = make_user("ann")
    token = sign_in("ann").access_token
    edit(user, is_active=False)  # which the database would say, if it were asked
    monkeypatch.setattr(endpoint.engine, "refuse_exhausted", refuse)

    response = post("{ me { username } }", token)

    assert (response.status_code, response["Retry-After"]) == (429, "3")


def test_without_a_token_nobody_is_asking():
    response = post("{ me { username } }")

    assert response.status_code == 200
    assert response.json()["data"] == {"me": None}
    assert response.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}


@pytest.mark.parametrize("header", ["Bearer nonsense", "Bearer", "Bearer  ", "Basic YTpi", "nonsense"])
def test_a_header_that_does_not_hold_is_401_and_runs_nothing(header: str):
    mutation = (
        'mutation { register(input: {email: "eve@example.com", password: "a fine day for sailing"}) { expiresIn } }'
    )

    response = Client().post(
        "/graphql", {"query": mutation}, content_type="application/json", headers={"Authorization": header}
    )

    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert response.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
    assert "data" not in response.json()
    assert not User.objects.filter(email="eve@example.com").exists()


def test_a_token_of_an_account_that_was_closed_is_401():
    user = make_user("ann")
    token = sign_in("ann").access_token
    edit(user, is_active=False)

    assert post("{ me { username } }", token).status_code == 401


def test_somebody_signs_in_and_goes_on_with_the_token():
    make_user("ann")
    login = "mutation ($input: LoginInput!) { login(input: $input) { accessToken user { email } } }"

    answer = post(login, input={"email": "ann@example.com", "password": PASSWORD}).json()["data"]["login"]

    assert answer["user"] == {"email": "ann@example.com"}
    assert post("{ me { username } }", answer["accessToken"]).json() == {"data": {"me": {"username": "ann"}}}


def test_the_field_to_blame_is_named_as_the_client_wrote_it():
    login = "mutation ($who: LoginInput!) { login(input: $who) { accessToken } }"

    assert post(login, who={"email": "ann@example.com"}).json()["errors"][0]["extensions"] == {
        "code": "BAD_USER_INPUT",
        "field": "input.password",
    }


@pytest.mark.parametrize("path", ["/graphql", "/graphql/"])
def test_the_endpoint_is_there_with_and_without_a_slash_and_needs_no_csrf_token(path: str):
    assert post("{ __typename }", path=path).json() == {"data": {"__typename": "Query"}}


def test_a_database_that_is_away_is_503_and_masks_what_it_said(monkeypatch: pytest.MonkeyPatch):
    def away(_query: Any) -> None:
        raise OperationalError(2013, "Lost connection to db-7.internal")

    monkeypatch.setattr(context, "authenticate", away)
    make_user("ann")
    token = sign_in("ann").access_token

    response = post("{ me { username } }", token)

    assert response.status_code == 503
    assert response.json()["errors"][0]["extensions"] == {"code": "UNAVAILABLE"}
    assert b"db-7" not in response.content


def test_moments_are_written_in_utc_by_the_shared_scalar():
    user = make_user("ann")
    identity = authentication.authenticate(sign_in("ann").access_token).identity

    body = ask("{ me { createdAt } }", identity=identity)

    assert body == {"data": {"me": {"createdAt": DateTime.serialize(user.created_at)}}}
    assert schema.graphql_schema.type_map["DateTime"].graphene_type is DateTime


def test_the_whole_schema_can_be_asked_for():
    from graphql import get_introspection_query

    answer = json.loads(post(get_introspection_query()).content)

    assert "errors" not in answer
