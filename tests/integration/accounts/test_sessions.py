"""What tokens open, and what ends them."""

from datetime import timedelta
from uuid import uuid4

import jwt
import pytest
from django.conf import settings
from pytest_django import DjangoAssertNumQueries
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from accounts import authentication, registration, tokens
from accounts.identity import Identity
from accounts.models import RevokedSession, Team, User
from accounts.roles import Role
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.errors import BadInput, Unauthenticated
from tests.integration.accounts.making import ADDRESS, PASSWORD, audited, change_password, edit, make_user, sign_in

pytestmark = pytest.mark.django_db


def claims_of(raw: str) -> dict:
    return jwt.decode(raw, settings.JWT_SECRET, algorithms=["HS256"])


def assert_dead(*access_tokens: str) -> None:
    for raw in access_tokens:
        with pytest.raises(Unauthenticated):
            authentication.identity_from_token(raw)


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


def test_a_refresh_yields_a_new_pair_of_the_same_session():
    make_user("ann")
    first = sign_in()

    second = authentication.refresh(first.refresh_token)

    assert second.refresh_token != first.refresh_token
    assert claims_of(second.access_token)["sid"] == claims_of(first.access_token)["sid"]
    assert authentication.identity_from_token(second.access_token).username == "ann"
    assert authentication.identity_from_token(first.access_token).username == "ann"


def test_a_spent_refresh_token_that_comes_again_ends_the_whole_session_and_no_other():
    make_user("ann")
    elsewhere = sign_in()
    first = sign_in()
    second = authentication.refresh(first.refresh_token)

    for _ in range(2):
        with pytest.raises(Unauthenticated):
            authentication.refresh(first.refresh_token)

    assert_dead(first.access_token, second.access_token)
    with pytest.raises(Unauthenticated):
        authentication.refresh(second.refresh_token)
    facts = {"username": "ann", "session": claims_of(first.access_token)["sid"]}
    assert audited()[1:] == [("", "session.token_reused", f"user:{first.user.id}", facts)]
    assert authentication.refresh(elsewhere.refresh_token).user.username == "ann"


def test_a_refresh_takes_role_and_name_from_the_row():
    make_user("root", role=Role.ADMIN)
    user = make_user("ann", role=Role.ADMIN)
    signed_in = sign_in()
    edit(user, role=Role.VIEWER)

    renewed = authentication.refresh(signed_in.refresh_token)

    assert claims_of(renewed.access_token)["role"] == "viewer"


def test_logging_out_by_refresh_token_ends_access_tokens_too():
    make_user("ann")
    signed_in = sign_in()
    elsewhere = sign_in()

    authentication.log_out(refresh_token=signed_in.refresh_token, identity=None)

    assert_dead(signed_in.access_token)
    with pytest.raises(Unauthenticated):
        authentication.refresh(signed_in.refresh_token)
    with pytest.raises(Unauthenticated):
        authentication.log_out(refresh_token=signed_in.refresh_token, identity=None)
    assert authentication.identity_from_token(elsewhere.access_token).username == "ann"


def test_logging_out_without_a_refresh_token_ends_every_session_of_the_account_and_of_no_other():
    make_user("ann")
    make_user("bob")
    first, second, other = sign_in(), sign_in(), sign_in("bob")
    identity = authentication.identity_from_token(first.access_token)

    authentication.log_out(refresh_token=None, identity=identity)

    assert_dead(first.access_token, second.access_token)
    with pytest.raises(Unauthenticated):
        authentication.refresh(second.refresh_token)
    assert authentication.identity_from_token(other.access_token).username == "bob"
    assert authentication.identity_from_token(sign_in().access_token).username == "ann"


def test_logging_out_of_nothing_is_refused():
    with pytest.raises(Unauthenticated):
        authentication.log_out(refresh_token=None, identity=None)

    assert RevokedSession.objects.count() == 0


def test_a_demotion_and_a_move_act_on_tokens_that_are_out():
    make_user("root", role=Role.ADMIN)
    user = make_user("ann", role=Role.ADMIN)
    team = registration.add_team("sailors")
    raw = sign_in().access_token

    edit(user, role=Role.VIEWER, team=team)

    identity = authentication.identity_from_token(raw)
    assert (identity.role, identity.is_admin, identity.team_id) == (Role.VIEWER, False, team.id)


def test_tokens_of_an_account_made_inactive_end_and_stay_ended():
    user = make_user("ann")
    signed_in = sign_in()

    edit(user, is_active=False)
    assert_dead(signed_in.access_token)
    with pytest.raises(Unauthenticated):
        authentication.refresh(signed_in.refresh_token)

    edit(user, is_active=True)
    assert_dead(signed_in.access_token)


def test_an_inactive_row_is_enough_to_refuse_a_token():
    make_user("ann")
    signed_in = sign_in()

    User.objects.update(is_active=False)

    assert_dead(signed_in.access_token)
    with pytest.raises(Unauthenticated):
        authentication.refresh(signed_in.refresh_token)
    assert OutstandingToken.objects.count() == 0


def replace_password(raw: str, current: str, new: str) -> None:
    access = authentication.authenticate(raw)
    authentication.change_password(
        identity=access.identity, session_id=access.session_id, current=current, new=new, address=ADDRESS
    )


def test_a_change_of_password_ends_every_session_but_the_one_that_asks():
    user = make_user("ann")
    own, other = sign_in(), sign_in()

    replace_password(own.access_token, PASSWORD, "another fine day")

    assert audited()[-1] == ("ann", "user.password_changed", f"user:{user.id}", {"username": "ann"})
    assert_dead(other.access_token)
    with pytest.raises(Unauthenticated):
        authentication.refresh(other.refresh_token)
    assert authentication.identity_from_token(own.access_token).user_id == user.id
    renewed = authentication.refresh(own.refresh_token)
    assert authentication.identity_from_token(renewed.access_token).user_id == user.id
    with pytest.raises(Unauthenticated):
        sign_in("ann", PASSWORD)
    assert sign_in("ann", "another fine day").user == user


@pytest.mark.parametrize(
    ("current", "new", "field"),
    [("wrong", "another fine day", "current"), (PASSWORD, "short", "new"), (PASSWORD, "ann@example.com", "new")],
)
def test_a_refused_change_of_password_changes_nothing(current: str, new: str, field: str):
    make_user("ann")
    raw = sign_in().access_token
    before = User.objects.values().get()

    with pytest.raises(BadInput) as refusal:
        replace_password(raw, current, new)

    assert refusal.value.field == field
    assert User.objects.values().get() == before
    assert authentication.identity_from_token(raw).username == "ann"


def test_a_kept_session_ends_like_any_other():
    user = make_user("ann")
    own = sign_in()
    access = authentication.authenticate(own.access_token)
    replace_password(own.access_token, PASSWORD, "another fine day")
    assert list(authentication.still_valid([access], database_clock.now())) == [access]

    replace_password(sign_in("ann", "another fine day").access_token, "another fine day", "a third fine day")

    assert_dead(own.access_token)
    assert authentication.still_valid([access], database_clock.now()) == {}
    kept = sign_in("ann", "a third fine day")
    replace_password(kept.access_token, "a third fine day", "a fourth fine day")
    registration.end_sessions(user.id)
    assert_dead(kept.access_token)


def test_djangos_own_change_of_password_ends_tokens_as_well():
    make_user("ann")
    raw = sign_in().access_token

    user = User.objects.get()
    user.set_password("another fine day")
    user.save()

    assert_dead(raw)


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


def test_of_many_sessions_those_that_still_hold_are_told_by_two_queries(
    django_assert_num_queries: DjangoAssertNumQueries,
):
    held, left, changed, stopped = (make_user(name) for name in ("ann", "bob", "cyd", "dan"))
    accesses = {name: authentication.authenticate(sign_in(name).access_token) for name in ("ann", "bob", "cyd", "dan")}
    second = authentication.authenticate(sign_in("bob").access_token)
    tokens.revoke_session(accesses["bob"].session_id)
    change_password(changed, "another fine day")
    edit(stopped, is_active=False)
    edit(held, role=Role.VIEWER, team=left.team)
    now = database_clock.now()

    with django_assert_num_queries(2):
        valid = authentication.still_valid([*accesses.values(), second], now)

    assert valid == {
        accesses["ann"]: Identity(held.id, "ann", Role.VIEWER, left.team_id),
        second: Identity(left.id, "bob", Role.USER, left.team_id),
    }


def test_a_session_holds_until_the_moment_at_which_its_token_expires():
    make_user("ann")
    access = authentication.authenticate(sign_in().access_token)

    assert list(authentication.still_valid([access], access.expires_at - timedelta(microseconds=1))) == [access]
    assert authentication.still_valid([access], access.expires_at) == {}


def test_of_no_sessions_nothing_is_asked(django_assert_num_queries: DjangoAssertNumQueries):
    with django_assert_num_queries(0):
        assert authentication.still_valid([], database_clock.now()) == {}
