"""Accounts for tests, and signing in to them."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from django.conf import settings
from django.contrib.auth.hashers import make_password

from accounts import authentication, registration
from accounts.authentication import SignedIn
from accounts.models import AuditEntry, Team, User
from dtq_site.foundation.errors import Unauthenticated

PASSWORD = "a fine day for sailing"
ADDRESS = "192.0.2.7"


def make_user(username: str = "ann", **fields: Any) -> User:
    """An account with PASSWORD, in the team of that name unless `team` is given."""
    fields = {"email": f"{username}@example.com", "password": PASSWORD, **fields}
    return registration.create_user(username=username, **fields)


def sign_in(login: str = "ann", password: str = PASSWORD, address: str = ADDRESS) -> SignedIn:
    """Sign in with PASSWORD."""
    return authentication.log_in(login=login, password=password, address=address)


def edit(user: User, **changes: Any) -> None:
    """Change what an administrator can change of the account."""
    registration.update_user(user.id, changes)


def change_password(user: User, new: str) -> None:
    """Give the account another password, as `user` was read."""
    registration.change_password(user, make_password(new), kept_session=None)


def row_counts() -> tuple[int, int]:
    """How many users and teams there are."""
    return User.objects.count(), Team.objects.count()


def audited() -> list[tuple[str, str, str, dict]]:
    """Actor, action, target and facts of every entry of the audit log, the oldest first."""
    return list(AuditEntry.objects.order_by("id").values_list("actor", "action", "target", "facts"))


def claims_of(raw: str) -> dict:
    """What a token of ours says."""
    return jwt.decode(raw, settings.JWT_SECRET, algorithms=["HS256"])


def assert_dead(*access_tokens: str) -> None:
    """None of these opens anything."""
    for raw in access_tokens:
        with pytest.raises(Unauthenticated):
            authentication.identity_from_token(raw)
