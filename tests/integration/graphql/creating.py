"""How tasks are created over the API, one or several."""

from __future__ import annotations

from typing import Any

from accounts.identity import Identity
from tests.integration.graphql.making import data

CREATE = "mutation ($input: CreateTaskInput!) { createTask(input: $input) { id status } }"
CREATE_MANY = "mutation ($inputs: [CreateTaskInput!]!) { createTasks(inputs: $inputs) { id name } }"


def create(identity: Identity, **input: Any) -> dict[str, Any]:
    """Create a task, and return what is answered of it."""
    return data(CREATE, identity, input=input)["createTask"]
