"""What resolvers learn of the request."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.test import RequestFactory
from pytest_django import DjangoAssertNumQueries, Settings

from accounts import authentication
from dtq_site.api.context import Doorkeeper, context_of
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.errors import RateLimited, Unauthenticated
from tests.integration.accounts.making import make_user, sign_in

pytestmark = pytest.mark.django_db

make = RequestFactory()


refused: list[str] = []
OPEN = Doorkeeper(admit=lambda _user_id: None, refuse=refused.append)


@pytest.fixture(autouse=True)
def nobody_was_refused() -> None:
    """Forget who was refused in other tests."""
    refused.clear()


def test_nobody_has_no_identity_and_costs_no_query(django_assert_num_queries: DjangoAssertNumQueries):
    request = make.get("/graphql", REMOTE_ADDR="192.0.2.9", headers={"X-Forwarded-For": "198.51.100.1"})

    with django_assert_num_queries(0):
        context = context_of(request, request_id="r", clock=database_clock, trusted_proxies=0, doorkeeper=OPEN)

    assert (context.identity, context.session_id, context.address) == (None, None, "192.0.2.9")
    assert (context.request_id, context.clock, context.request) == ("r", database_clock, request)


def test_a_trusted_proxy_tells_the_address():
    request = make.get("/graphql", REMOTE_ADDR="10.0.0.1", headers={"X-Forwarded-For": "198.51.100.1"})

    context = context_of(request, request_id="r", clock=database_clock, trusted_proxies=1, doorkeeper=OPEN)

    assert context.address == "198.51.100.1"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER "])
def test_a_token_tells_identity_and_session(scheme: str, settings: Settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    user = make_user("ann")
    request = make.get("/graphql", headers={"Authorization": f"{scheme} {sign_in('ann').access_token}"})

    context = context_of(request, request_id="r", clock=database_clock, trusted_proxies=0, doorkeeper=OPEN)

    assert context.identity is not None
    assert (context.identity.user_id, context.identity.team_id) == (user.id, user.team_id)
    assert context.session_id is not None


def test_who_is_not_admitted_costs_no_query(django_assert_num_queries: DjangoAssertNumQueries, settings: Settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    user = make_user("ann")
    request = make.get("/graphql", headers={"Authorization": f"Bearer {sign_in('ann').access_token}"})

    def refuse(user_id: UUID) -> None:
        assert user_id == user.id
        raise RateLimited(retry_after_seconds=1)

    with django_assert_num_queries(0), pytest.raises(RateLimited):
        context_of(
            request,
            request_id="r",
            clock=database_clock,
            trusted_proxies=0,
            doorkeeper=Doorkeeper(admit=refuse, refuse=refused.append),
        )

    assert refused == []


@pytest.mark.parametrize("kind", ["no token", "forged", "revoked", "unknown worker token"])
def test_of_a_token_that_does_not_hold_the_address_is_told(kind: str, settings: Settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    make_user("ann")
    pair = sign_in("ann")
    authentication.log_out(refresh_token=pair.refresh_token, identity=None)
    headers = {
        "no token": "Basic YW5uOmFubg==",
        "forged": f"Bearer {pair.access_token}x",
        "revoked": f"Bearer {pair.access_token}",
        "unknown worker token": "Bearer dtqw_nobody",
    }
    request = make.get("/graphql", REMOTE_ADDR="192.0.2.9", headers={"Authorization": headers[kind]})

    with pytest.raises(Unauthenticated):
        context_of(request, request_id="r", clock=database_clock, trusted_proxies=0, doorkeeper=OPEN)

    assert refused == ["192.0.2.9"]
