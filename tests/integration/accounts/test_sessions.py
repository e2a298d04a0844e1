"""Sessions: how they go on, and what ends them."""

from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from accounts import authentication, registration, tokens
from accounts.identity import Identity
from accounts.models import RevokedSession, User
from accounts.roles import Role
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.errors import BadInput, Unauthenticated
from tests.integration.accounts.making import (
    ADDRESS,
    PASSWORD,
    assert_dead,
    audited,
    change_password,
    claims_of,
    edit,
    make_user,
    sign_in,
)

pytestmark = pytest.mark.django_db


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
