"""The list of tasks in pages, and all that it has, page after page."""

from __future__ import annotations

from typing import Any

from accounts.identity import Identity
from tests.integration.graphql.making import data

PAGE = """query ($first: Int, $after: String, $filter: TaskFilter, $order: TaskOrder) {
  tasksConnection(first: $first, after: $after, filter: $filter, orderBy: $order) {
    edges { cursor node { id } } nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""


def page(identity: Identity, **variables: Any) -> dict[str, Any]:
    """One page."""
    return data(PAGE, identity, **variables)["tasksConnection"]


def walk(identity: Identity, first: int, **variables: Any) -> list[str]:
    """The ids of all pages, one after the other."""
    found, after = [], None
    while True:
        answer = page(identity, first=first, after=after, **variables)
        found += [node["id"] for node in answer["nodes"]]
        after = answer["pageInfo"]["endCursor"]
        if not answer["pageInfo"]["hasNextPage"]:
            return found
