"""`manage.py seed_users`."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from accounts import registration
from accounts.models import User
from tests.integration.accounts.making import ADDRESS, change_password, row_counts, sign_in

pytestmark = pytest.mark.django_db


def seed() -> str:
    printed = StringIO()
    call_command("seed_users", stdout=printed)
    return printed.getvalue()


def test_an_account_for_each_role_shares_one_team():
    printed = seed()

    for name in ("admin", "worker", "viewer", "user"):
        user = sign_in(name, f"{name}123").user
        assert (user.role, user.team.name, user.email) == (name, "default", f"{name}@dtq.example")
        assert f"{name}: created, password {name}123" in printed
    assert row_counts() == (4, 1)


def test_a_second_run_leaves_everything_as_it_is():
    seed()
    change_password(User.objects.get(username="admin"), "a password of my own")
    before = list(User.objects.values())

    printed = seed()

    assert printed.splitlines() == ["admin: exists", "worker: exists", "viewer: exists", "user: exists"]
    assert list(User.objects.values()) == before
    assert row_counts() == (4, 1)


def test_the_demo_accounts_take_no_address_of_the_documentation():
    seed()

    assert registration.register(address=ADDRESS, email="user@example.com", password="securepassword").role == "user"


def test_production_has_no_demo_accounts(settings: Settings):
    settings.PRODUCTION = True

    with pytest.raises(CommandError):
        seed()

    assert row_counts() == (0, 0)
