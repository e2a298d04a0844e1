"""Every operation of the API says who may call it."""

from __future__ import annotations

import pytest

from dtq_site.schema import schema

MARK = "__dtq_access__"


def resolvers() -> dict[str, object]:
    found = {}
    for root in (schema.query, schema.mutation, schema.subscription):
        kind = schema.graphql_schema.get_type(root._meta.name) if root is not None else None
        for name, field in getattr(kind, "fields", {}).items():
            found[f"{kind}.{name}"] = field.subscribe or field.resolve
    return found


@pytest.mark.parametrize("operation", resolvers())
def test_an_operation_declares_its_access(operation: str) -> None:
    resolver = resolvers()[operation]
    while resolver is not None and not hasattr(resolver, MARK):
        resolver = getattr(resolver, "func", None) or getattr(resolver, "__wrapped__", None)

    assert resolver is not None, f"{operation} has neither `requires(…)` nor `public`"
