"""Accounts are tested with a fast hasher; the tests about hashing choose their own."""

import pytest
from pytest_django import Settings
from redis import Redis


@pytest.fixture(autouse=True)
def fast_hashing(settings: Settings) -> None:
    """Hash in microseconds."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def fresh_counts(redis_server: Redis) -> None:
    """Forget the logins of other tests."""
