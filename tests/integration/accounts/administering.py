"""What admins ask over GraphQL, and what they are answered."""

from __future__ import annotations

from typing import Any

from accounts.identity import Identity
from accounts.models import AuditEntry, Team, User
from tests.support.api import ask

CREATE = "mutation ($input: CreateUserInput!) { createUser(input: $input) { %s } }"
UPDATE = "mutation ($id: ID!, $input: UpdateUserInput!) { updateUser(id: $id, input: $input) { %s } }"
ALL = "id username email name role isActive team { id name }"


def data(query: str, identity: Identity, **variables: Any) -> Any:
    """The only field of an answer that must have no errors."""
    body = ask(query, identity=identity, **variables)
    assert "errors" not in body, body
    (answer,) = body["data"].values()
    return answer


def refusal(query: str, identity: Identity | None, **variables: Any) -> tuple[str, str | None]:
    """Code and field of an answer's only error."""
    (error,) = ask(query, identity=identity, **variables)["errors"]
    return error["extensions"]["code"], error["extensions"].get("field")


def everything() -> tuple[list, list, int]:
    """All users, all teams, and how many entries the audit log has, to prove that nothing changed."""
    return list(User.objects.values()), list(Team.objects.values()), AuditEntry.objects.count()
