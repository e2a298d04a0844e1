"""Signing in with a password."""

import bcrypt
import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from pytest_django import Settings

from accounts import authentication, registration
from accounts.models import User
from accounts.roles import Role
from dtq_site.foundation.errors import BadInput, Unauthenticated
from tests.integration.accounts.making import PASSWORD, change_password, edit, make_user, sign_in

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("login", ["ann", "Ann", " ann ", "ann@example.com", "ANN@Example.com"])
def test_a_login_is_a_name_or_an_address_in_any_case(login: str):
    user = make_user("ann")

    signed_in = sign_in(login)

    identity = authentication.identity_from_token(signed_in.access_token)
    assert signed_in.user == user
    assert (identity.user_id, identity.username, identity.role) == (user.id, "ann", Role.USER)
    assert identity.team_id == user.team_id
    assert signed_in.expires_in == 24 * 3600


def test_unknown_user_wrong_password_and_inactive_account_get_the_same_answer():
    make_user("ann")
    make_user("idle", is_active=False)
    answers = set()

    for login, password in (("nobody", PASSWORD), ("no@example.com", PASSWORD), ("ann", "wrong"), ("idle", PASSWORD)):
        with pytest.raises(Unauthenticated) as refusal:
            sign_in(login, password)
        answers.add((refusal.value.code, refusal.value.message, refusal.value.field))

    assert answers == {("UNAUTHENTICATED", "The account or the password is wrong.", None)}


def test_an_unknown_user_costs_as_many_hashes_as_a_wrong_password(monkeypatch: pytest.MonkeyPatch):
    make_user("ann")
    hashed = []
    encode = MD5PasswordHasher.encode
    monkeypatch.setattr(MD5PasswordHasher, "encode", lambda *args: hashed.append(args[1]) or encode(*args))

    for login in ("ann", "nobody"):
        with pytest.raises(Unauthenticated):
            sign_in(login, "wrong")

    assert hashed == ["wrong", "wrong"]


def test_a_bcrypt_hash_is_accepted_and_replaced_by_argon2(settings: Settings):
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.Argon2PasswordHasher",
        "django.contrib.auth.hashers.BCryptPasswordHasher",
    ]
    user = make_user("ann")
    imported = "bcrypt$" + bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    User.objects.filter(id=user.id).update(password=imported)
    earlier = authentication.sign_in(user).access_token

    sign_in("ann")

    user.refresh_from_db()
    assert user.password.startswith("argon2$")
    assert user.check_password(PASSWORD)
    assert authentication.identity_from_token(earlier).user_id == user.id


def test_a_password_that_bcrypt_refuses_is_only_a_wrong_one_and_costs_a_hash(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    bcrypts = "django.contrib.auth.hashers.BCryptPasswordHasher"
    settings.PASSWORD_HASHERS = [*settings.PASSWORD_HASHERS, bcrypts]
    user = make_user("ann")
    imported = "bcrypt$" + bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    User.objects.filter(id=user.id).update(password=imported)
    hashed = []
    encode = MD5PasswordHasher.encode
    monkeypatch.setattr(MD5PasswordHasher, "encode", lambda *args: hashed.append(args[1]) or encode(*args))

    with pytest.raises(Unauthenticated):
        sign_in("ann", "x" * 73)

    assert (User.objects.get(id=user.id).password, hashed) == (imported, ["x" * 73])


def test_a_rehash_does_not_undo_a_change_of_password_that_came_first():
    stale = make_user("ann")
    change_password(stale, "another fine day")

    registration.rehash_password(stale, PASSWORD)

    assert sign_in("ann", "another fine day").user == stale


def test_text_that_cannot_be_encoded_or_is_endless_is_refused_without_hashing():
    make_user("ann")

    with pytest.raises(Unauthenticated):
        sign_in("\ud800")
    for password in ("\ud800", "x" * 1025):
        with pytest.raises(BadInput) as refusal:
            sign_in("ann", password)
        assert refusal.value.field == "password"


def test_a_name_that_looks_like_an_address_means_the_account_with_that_address():
    first = make_user("ann@example.com", email="ann@example.com")
    edit(first, email="ann@example.org")
    second = make_user("other", email="ann@example.com")

    assert sign_in("ann@example.com").user == second
    assert sign_in("ann@example.org").user == first
