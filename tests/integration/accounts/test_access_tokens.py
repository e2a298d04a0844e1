"""Access tokens: what they bear and open, and what is no token of ours."""

from datetime import timedelta
from uuid import uuid4

import jwt
import pytest
from django.conf import settings
from pytest_django import DjangoAssertNumQueries
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from accounts import authentication, tokens
from accounts.models import RevokedSession, Team, User
from accounts.roles import Role
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.errors import Unauthenticated
from tests.integration.accounts.making import assert_dead, claims_of, make_user, sign_in

pytestmark = pytest.mark.django_db


def test_both_tokens_bear_account_session_and_version():
    user = make_user("ann", role=Role.VIEWER)

    signed_in = sign_in()

    access, refresh = claims_of(signed_in.access_token), claims_of(signed_in.refresh_token)
    assert access["sub"] == refresh["sub"] == str(user.id)
    assert (access["username"], access["role"], access["ver"]) == ("ann", "viewer", 0)
    assert access["sid"] == refresh["sid"]
    assert (access["token_type"], refresh["token_type"]) == ("access", "refresh")
    assert access["exp"] - access["iat"] == 24 * 3600
    assert refresh["exp"] - refresh["iat"] == 14 * 24 * 3600


def test_an_access_token_opens_identity_and_session_by_one_query(django_assert_num_queries: DjangoAssertNumQueries):
    user = make_user("ann")
    signed_in = sign_in()

    with django_assert_num_queries(1):
        access = authentication.authenticate(signed_in.access_token)

    claims = claims_of(signed_in.access_token)
    assert access.identity.user_id == user.id
    assert str(access.session_id) == claims["sid"]
    assert access.expires_at.timestamp() == claims["exp"]


def test_an_access_token_that_was_read_before_opens_nothing_from_the_moment_it_expires(monkeypatch: pytest.MonkeyPatch):
    make_user("ann")
    raw = sign_in().access_token
    expires_at = authentication.authenticate(raw).expires_at

    monkeypatch.setattr(tokens, "host_now", lambda: expires_at - timedelta(microseconds=1))
    assert authentication.identity_from_token(raw).username == "ann"
    monkeypatch.setattr(tokens, "host_now", lambda: expires_at)
    assert_dead(raw)


def test_a_login_writes_nothing():
    make_user("ann")

    sign_in()

    assert (OutstandingToken.objects.count(), RevokedSession.objects.count()) == (0, 0)


def forged(raw: str, secret: str = settings.JWT_SECRET, algorithm: str = "HS256", **changes: object) -> str:
    claims = {key: value for key, value in {**claims_of(raw), **changes}.items() if value is not None}
    return jwt.encode(claims, secret, algorithm=algorithm)


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": "another key of more than 32 characters"},
        {"secret": "", "algorithm": "none"},
        {"exp": 1_000_000_000},
        {"exp": None},
        {"sub": str(uuid4())},
        {"sub": "ann"},
        {"ver": 1},
        {"ver": None},
        {"sid": None},
        {"token_type": None},
        {"jti": None},
    ],
)
def test_a_token_with_one_thing_wrong_opens_nothing(changes: dict):
    make_user("ann")
    raw = sign_in().access_token
    assert authentication.identity_from_token(forged(raw)).username == "ann"

    assert_dead(forged(raw, **changes))


def test_neither_kind_of_token_serves_as_the_other():
    make_user("ann")
    signed_in = sign_in()

    assert_dead(signed_in.refresh_token)
    with pytest.raises(Unauthenticated):
        authentication.refresh(signed_in.access_token)
    assert OutstandingToken.objects.count() == 0


@pytest.mark.parametrize("raw", ["", "a", "a.b.c", "é.b.c", "\ud800.b.c", "eyJhbGciOltdfQ.e30.eA"])
def test_what_is_no_token_opens_nothing(raw: str):
    assert_dead(raw)
    with pytest.raises(Unauthenticated):
        authentication.refresh(raw)


def test_what_is_remembered_of_tokens_is_forgotten_once_they_have_expired():
    make_user("ann")
    first = sign_in()
    second = authentication.refresh(first.refresh_token)
    authentication.log_out(refresh_token=second.refresh_token, identity=None)
    now = database_clock.now()

    assert tokens.forget_expired(now + timedelta(days=14)) == 0
    assert_dead(first.access_token)
    assert tokens.forget_expired(now + timedelta(days=14, hours=2)) == 3

    assert (OutstandingToken.objects.count(), RevokedSession.objects.count()) == (0, 0)
    assert (User.objects.count(), Team.objects.count()) == (1, 1)
