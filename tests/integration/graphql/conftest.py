"""The accounts that most tests of the API need, and a process that remembers nothing of the test before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from accounts.identity import Identity
from accounts.roles import Role

if TYPE_CHECKING:
    from tests.support.worker_client import WorkerClient


def _account(role: Role, team: str = "red") -> Identity:
    from tests.integration.graphql.making import make_identity  # models: Django is not up when this file is read

    return make_identity(role, team)


@pytest.fixture(autouse=True)
def fresh() -> None:
    """Forget the rows of other tests, which were rolled back."""
    from tests.support.factories import forget_what_processes_remember

    forget_what_processes_remember()


@pytest.fixture
def user(db: None) -> Identity:
    """A user of the team red."""
    return _account(Role.USER)


@pytest.fixture
def viewer(db: None) -> Identity:
    """A viewer of the team red."""
    return _account(Role.VIEWER)


@pytest.fixture
def admin(db: None) -> Identity:
    """An admin, in a team without tasks."""
    return _account(Role.ADMIN, "office")


@pytest.fixture
def stranger(db: None) -> Identity:
    """A user of the team blue."""
    return _account(Role.USER, "blue")


@pytest.fixture
def worker_account(db: None) -> Identity:
    """The account of a worker in the team red."""
    return _account(Role.WORKER)


@pytest.fixture
def worker(worker_account: Identity) -> WorkerClient:
    """A worker of that account."""
    from tests.integration.graphql.working import NAME, send_as
    from tests.support.worker_client import WorkerClient

    return WorkerClient(send_as(worker_account), NAME)
