"""Every operation of the API says who may call it."""

from __future__ import annotations

import pytest

from accounts.permissions import access_of
from dtq_site.schema import schema


def resolvers() -> dict[str, object]:
    found = {}
    for root in (schema.query, schema.mutation, schema.subscription):
        kind = schema.graphql_schema.get_type(root._meta.name) if root is not None else None
        for name, field in getattr(kind, "fields", {}).items():
            found[f"{kind}.{name}"] = field.subscribe or field.resolve
    return found


@pytest.mark.parametrize("operation", resolvers())
def test_an_operation_declares_its_access(operation: str) -> None:
    assert access_of(resolvers()[operation]), operation
