"""Accounts are tested with a fast hasher; the tests about hashing choose their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pytest_django import Settings
from redis import Redis

if TYPE_CHECKING:
    from accounts.identity import Identity


@pytest.fixture(autouse=True)
def fast_hashing(settings: Settings) -> None:
    """Hash in microseconds."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def fresh_counts(redis_server: Redis) -> None:
    """Forget the logins of other tests."""


@pytest.fixture
def root(db: None) -> Identity:
    """An administrator; what the audit log says of its making is forgotten."""
    from accounts.models import AuditEntry
    from accounts.roles import Role
    from tests.integration.accounts.making import make_user

    identity = make_user("root", role=Role.ADMIN).identity
    AuditEntry.objects.all().delete()
    return identity
