"""How accounts and teams come to be, and what is refused."""

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts import registration
from accounts.models import Team, User
from accounts.roles import Role
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.errors import BadInput, Conflict, Forbidden
from tests.integration.accounts.making import (
    ADDRESS,
    PASSWORD,
    audited,
    change_password,
    edit,
    make_user,
    row_counts,
    sign_in,
)

pytestmark = pytest.mark.django_db
GOOD = {"address": ADDRESS, "email": "ann@example.com", "password": PASSWORD, "name": "Ann", "username": "ann"}


def test_whoever_registers_is_a_user_in_a_team_of_its_own():
    before = database_clock.now()

    user = registration.register(**{**GOOD, "email": " Ann@Example.COM ", "name": " Ann Lee ", "username": "Ann.Lee"})

    user = User.objects.select_related("team").get(id=user.id)
    assert (user.username, user.email, user.name) == ("ann.lee", "ann@example.com", "Ann Lee")
    assert (user.role, user.is_active, user.token_version) == (Role.USER, True, 0)
    assert (user.team.name, user.team.users.count()) == ("ann.lee", 1)
    assert before <= user.created_at <= database_clock.now()
    assert user.check_password(PASSWORD)


def test_without_a_user_name_the_address_serves_as_one():
    user = registration.register(address=ADDRESS, email="User@Example.com", password="securepassword", name="John Doe")

    assert user.username == "user@example.com"
    assert sign_in("user@example.com", "securepassword").user == user


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"email": "ann"}, "email"),
        ({"email": "ann@example.com\n.org"}, "email"),
        ({"email": f"{'a' * 250}@example.com"}, "email"),
        ({"email": "ann@exam\u200bple.com"}, "email"),
        ({"email": "\u202eann@example.com"}, "email"),
        ({"email": "ann@\u3300\u3300\u3300.com" + "\u3300" * 240}, "email"),
        ({"username": "ann lee"}, "username"),
        ({"username": ""}, "username"),
        ({"username": "bob@example.com"}, "username"),
        ({"username": "аnn"}, "username"),  # noqa: RUF001, a Cyrillic letter
        ({"username": "a" * 151}, "username"),
        ({"password": "12345678"}, "password"),
        ({"password": "short"}, "password"),
        ({"password": "ann@example.com"}, "password"),
        ({"password": "x" * 1025}, "password"),
        ({"password": "a fine day \ud800"}, "password"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "\ud800"}, "name"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_and_nothing_is_written(changes: dict, field: str):
    with pytest.raises(BadInput) as refusal:
        registration.register(**{**GOOD, **changes})

    assert refusal.value.field == field
    assert row_counts() == (0, 0)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"username": "other", "email": "ANN@example.com"}, "email"),
        ({"email": "other@example.com", "username": "ANN"}, "username"),
        ({"email": "other@example.com", "username": "sailors"}, "username"),
        ({"email": "ann@example.com", "username": None}, "email"),
        ({"username": "other", "email": "ａｎｎ@example.com"}, "email"),  # noqa: RUF001, letters of full width
        ({"username": "other", "email": "ann＠EXAMPLE.com"}, "email"),  # noqa: RUF001, an @ of full width
        ({"email": "other@example.com", "username": "ＡNN"}, "username"),  # noqa: RUF001
    ],
)
def test_a_name_or_address_that_is_taken_in_any_spelling_is_a_conflict(changes: dict, field: str):
    registration.register(**GOOD)
    registration.add_team("sailors")
    before = row_counts()

    with pytest.raises(Conflict) as refusal:
        registration.register(**{**GOOD, **changes})

    assert refusal.value.field == field
    assert row_counts() == before


def test_nobody_gets_the_team_of_the_tasks_that_code_makes_by_being_called_like_it():
    before = row_counts()

    with pytest.raises(Conflict) as refusal:
        registration.register(**GOOD | {"username": "Default"})
    assert refusal.value.field == "username"
    assert row_counts() == before

    assert registration.register(**GOOD | {"username": "defaults"}).team.name == "defaults"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("ann@exämple.com", "ann@exa\u0308mple.com"),
        ("ann@EXÄMPLE.com", "ann@exämple.com"),
        ("bob@straße.de", "BOB@straße.de"),
        ("kim@example.com", "\u212aim@example.com"),
    ],
)
def test_two_spellings_of_an_address_are_one_account_that_either_opens(first: str, second: str):
    user = registration.register(**{**GOOD, "email": first, "username": None})

    with pytest.raises(Conflict) as refusal:
        registration.register(**{**GOOD, "email": second, "username": None})

    assert refusal.value.field == "email"
    assert row_counts() == (1, 1)
    assert sign_in(first).user == sign_in(second).user == user


def test_a_refusal_tells_of_what_was_asked_and_of_nobody():
    registration.register(**{**GOOD, "email": "secret@example.com", "name": "Ann Secret"})

    with pytest.raises(Conflict) as refusal:
        registration.register(**{**GOOD, "email": "other@example.com"})

    assert (refusal.value.message, refusal.value.details) == ("This user name is taken; choose another one.", {})


def test_a_registration_is_audited():
    user = registration.register(**GOOD)

    facts = {"username": "ann", "role": "user", "team": "ann"}
    assert audited() == [("", "user.registered", f"user:{user.id}", facts)]


@pytest.mark.parametrize(
    ("choice", "production", "is_open"),
    [
        ("auto", False, True),
        ("auto", True, False),
        ("open", True, True),
        ("closed", False, False),
    ],
)
def test_who_may_register_is_a_setting(choice: str, production: bool, is_open: bool, settings: Settings):
    settings.DTQ_ACCOUNTS = replace(settings.DTQ_ACCOUNTS, registration=choice)
    settings.PRODUCTION = production

    if is_open:
        registration.register(**GOOD)
    else:
        with pytest.raises(Forbidden):
            registration.register(**GOOD)

    assert row_counts() == ((1, 1) if is_open else (0, 0))


def test_django_makes_an_admin_in_its_own_way(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)

    call_command("createsuperuser", "--no-input", "--username", "Root", "--email", "root@example.com")

    user = sign_in("root").user
    assert (user.role, user.is_staff, user.is_superuser) == (Role.ADMIN, True, True)
    assert user.has_perm("accounts.change_user")
    assert User.objects.get_by_natural_key("ROOT") == user


@pytest.mark.parametrize("role", [Role.USER, Role.WORKER, Role.VIEWER])
def test_no_other_role_has_any_permission_of_django(role: Role):
    user = make_user("ann", role=role)

    assert (user.is_staff, user.is_superuser, user.has_perm("accounts.view_user")) == (False, False, False)


def test_an_address_that_is_taken_is_a_conflict_for_an_administrator_too():
    make_user("bob")
    user = make_user("ann")
    before = User.objects.values().get(id=user.id)

    with pytest.raises(Conflict) as refusal:
        edit(user, email="BOB@example.com", role=Role.ADMIN)

    assert refusal.value.field == "email"
    assert User.objects.values().get(id=user.id) == before


def test_of_two_changes_of_password_that_saw_the_same_one_the_second_is_refused():
    stale = make_user("ann")
    change_password(User.objects.get(), "another fine day")

    with pytest.raises(Conflict):
        change_password(stale, "a third fine day")

    assert sign_in("ann", "another fine day").user == stale


def test_a_team_is_named_byte_by_byte():
    assert registration.team_named("Sailors") == registration.team_named("Sailors")
    assert registration.team_named("sailors") != registration.team_named("Sailors")
    assert Team.objects.count() == 2


@pytest.fixture
def forgetful() -> Iterator[None]:
    """Nothing is remembered of an earlier test's teams, nor of this one's by a later test."""
    registration.forget_teams()
    yield
    registration.forget_teams()


@pytest.mark.usefixtures("forgetful")
def test_in_a_transaction_the_id_of_a_team_is_looked_up_anew_for_it_may_be_rolled_back():
    with transaction.atomic():
        undone = registration.team_id_named("Sailors")
        transaction.set_rollback(True)

    assert registration.team_id_named("Sailors") != undone
    assert Team.objects.get().pk == registration.team_id_named("Sailors")


@pytest.mark.usefixtures("forgetful")
def test_the_id_of_a_team_is_remembered_until_its_name_changes(monkeypatch):
    monkeypatch.setattr(registration, "connection", SimpleNamespace(in_atomic_block=False))  # the test itself is in one
    sailors = registration.team_id_named("Sailors")

    with CaptureQueriesContext(connection) as queries:
        assert registration.team_id_named("Sailors") == sailors
    assert len(queries) == 0

    registration.rename_team(sailors, "Pirates")
    assert registration.team_id_named("Pirates") == sailors
    assert registration.team_id_named("Sailors") != sailors
