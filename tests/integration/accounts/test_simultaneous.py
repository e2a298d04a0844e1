"""Requests that meet: what only one may win, one wins."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.db import connection

from accounts import authentication, registration
from dtq_site.foundation.errors import Conflict, Unauthenticated
from tests.integration.accounts.making import ADDRESS, PASSWORD, make_user, row_counts, sign_in

pytestmark = pytest.mark.usefixtures("committed_db")


def four_times(action: Callable[[], str]) -> list[str]:
    """What four threads got that did `action` at once, in sorted order."""
    with ThreadPoolExecutor(4) as pool:
        return sorted(pool.map(lambda _: action(), range(4)))


@contextmanager
def own_connection() -> Iterator[None]:
    try:
        yield
    finally:
        connection.close()


def test_of_simultaneous_registrations_one_wins():
    def register() -> str:
        with own_connection():
            try:
                registration.register(address=ADDRESS, email="ann@example.com", password=PASSWORD)
            except Conflict as refusal:
                return f"conflict on {refusal.field}"
            return "registered"

    assert four_times(register) == ["conflict on email"] * 3 + ["registered"]
    assert row_counts() == (1, 1)


def test_of_simultaneous_uses_of_a_refresh_token_one_wins_and_the_session_ends():
    make_user("ann")
    raw = sign_in().refresh_token
    renewed = []

    def refresh() -> str:
        with own_connection():
            try:
                renewed.append(authentication.refresh(raw).access_token)
            except Unauthenticated:
                return "refused"
            return "renewed"

    assert four_times(refresh) == ["refused"] * 3 + ["renewed"]
    with pytest.raises(Unauthenticated):
        authentication.identity_from_token(renewed[0])
