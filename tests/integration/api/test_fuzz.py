"""Operations made from the schema itself, with values of every kind: whatever is sent, nothing of ours breaks."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
    is_required_argument,
    is_required_input_field,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.identity import Identity
from accounts.roles import Role
from dtq_site.schema import schema
from tests.integration.accounts.making import make_user
from tests.support.api import ask

pytestmark = pytest.mark.django_db

KINDS = {"query": schema.graphql_schema.query_type, "mutation": schema.graphql_schema.mutation_type}
OPERATIONS = [(kind, name) for kind, root in KINDS.items() for name in root.fields]
SPECIAL = [
    "",
    " ",
    "\x00",
    "🧵",
    "default",
    "send-email",
    "* * * * *",
    "UTC",
    "2030-01-31T09:00:00Z",
    "9999-12-31",
    "%_\\",
]
TEXTS = st.sampled_from(SPECIAL) | st.text(max_size=300) | st.uuids().map(str)
NUMBERS = st.sampled_from([-1, 0, 1, 2**31 - 1, -(2**31)]) | st.integers(-1000, 1000)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
LEAVES = {
    "Int": NUMBERS,
    "Float": NUMBERS | st.floats(allow_nan=False, allow_infinity=False),
    "Boolean": st.booleans(),
    "String": TEXTS,
    "ID": TEXTS,
    "JSON": ANYTHING,
    "Priority": NUMBERS | st.sampled_from(["HIGH", "low"]),
    "DateTime": st.datetimes().map(lambda moment: moment.isoformat() + "Z") | TEXTS,
}


def values(kind: GraphQLInputType) -> st.SearchStrategy[Any]:
    """Values of that type, most of them allowed where it stands, some not."""
    kind = get_nullable_type(kind)
    if is_list_type(kind):
        return st.lists(values(kind.of_type), max_size=3)
    if isinstance(kind, GraphQLEnumType):
        return st.sampled_from(list(kind.values))
    if isinstance(kind, GraphQLInputObjectType):
        members = {name: values(field.type) for name, field in kind.fields.items()}
        needed = {name for name, field in kind.fields.items() if is_required_input_field(field)}
        optional = {name: each for name, each in members.items() if name not in needed}
        return st.fixed_dictionaries({name: members[name] for name in needed}, optional=optional)
    return LEAVES[kind.name]


def given_values(arguments: dict[str, GraphQLArgument]) -> st.SearchStrategy[dict[str, Any]]:
    needed = {name: values(each.type) for name, each in arguments.items() if is_required_argument(each)}
    optional = {name: values(each.type) for name, each in arguments.items() if name not in needed}
    return st.fixed_dictionaries(needed, optional=optional)


def selection(field: GraphQLField, depth: int = 3) -> str:
    """Everything below a field, down to a depth."""
    kind = get_named_type(field.type)
    if is_leaf_type(kind):
        return ""
    below = [
        f"{name} {selection(inner, depth - 1)}"
        for name, inner in kind.fields.items()
        if is_leaf_type(get_named_type(inner.type)) or depth > 1
    ]
    return f"{{ __typename {' '.join(below)} }}"


@pytest.fixture
def everybody() -> list[Identity | None]:
    """Somebody of each role, and nobody."""
    users = {role: make_user(role.value) for role in Role}
    return [None, *(Identity(user.id, user.username, role, user.team_id) for role, user in users.items())]


@pytest.mark.parametrize(("kind", "name"), OPERATIONS)
def test_no_operation_breaks(kind: str, name: str, everybody: list[Identity | None]):
    field = KINDS[kind].fields[name]

    @settings(
        max_examples=8, deadline=None, database=None, derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )  # fmt: skip
    @given(given_values(field.args), st.sampled_from(everybody))
    def try_it(variables: dict[str, Any], identity: Identity | None) -> None:
        declared = ", ".join(f"${each}: {field.args[each].type}" for each in variables)
        passed = ", ".join(f"{each}: ${each}" for each in variables)
        head = f"{kind} ({declared})" if variables else kind
        arguments = f"({passed})" if variables else ""

        body = ask(f"{head} {{ {name}{arguments} {selection(field)} }}", identity=identity, **variables)

        assert [error for error in body.get("errors", ()) if error["extensions"]["code"] == "INTERNAL"] == []

    try_it()
