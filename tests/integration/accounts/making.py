"""Accounts for tests, and signing in to them."""

from __future__ import annotations

from typing import Any

from accounts import authentication, registration
from accounts.authentication import SignedIn
from accounts.models import Team, User

PASSWORD = "a fine day for sailing"
ADDRESS = "192.0.2.7"


def make_user(username: str = "ann", **fields: Any) -> User:
    """An account with PASSWORD, in the team of that name unless `team` is given."""
    fields = {"email": f"{username}@example.com", "password": PASSWORD, **fields}
    return registration.create_user(username=username, **fields)


def sign_in(login: str = "ann", password: str = PASSWORD, address: str = ADDRESS) -> SignedIn:
    """Sign in with PASSWORD."""
    return authentication.log_in(login=login, password=password, address=address)


def demote(user: User, **changes: Any) -> None:
    """Change what an administrator can change of the account, and nothing else."""
    values = {"email": user.email, "name": user.name, "role": user.role, "team": user.team, "is_active": user.is_active}
    registration.update_user(user.id, **{**values, **changes})


def row_counts() -> tuple[int, int]:
    """How many users and teams there are."""
    return User.objects.count(), Team.objects.count()
