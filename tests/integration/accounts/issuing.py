"""Worker tokens for accounts of workers, and what is kept of them."""

from __future__ import annotations

from typing import Any

from accounts import worker_tokens
from accounts.models import User, WorkerToken
from accounts.roles import Role
from tests.integration.accounts.making import make_user


def account(name: str = "boat") -> User:
    """A new account of a worker."""
    return make_user(name, role=Role.WORKER)


def issue(user: User | None = None, **options: Any) -> worker_tokens.Issued:
    """A token "laptop" of the account, or of a new one."""
    return worker_tokens.issue(user or account(), **{"name": "laptop", **options})


def rows() -> list[dict[str, Any]]:
    """All that is kept of all tokens."""
    return list(WorkerToken.objects.order_by("pk").values())
