"""docs/GRAPHQL-SCHEMA.md: the schema for people, by area, with who may call what and what it costs. Written from the schema.

`manage.py graphql_schema --markdown` prints it; a test compares the page with what this module says.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    Undefined,
    is_introspection_type,
    is_specified_scalar_type,
)

from accounts.permissions import PUBLIC, Access, access_of
from accounts.roles import Role
from dtq_site.api.costs import Price
from dtq_site.api.errors import STATUS

_HEAD = """\
# The GraphQL schema

What the endpoint `/graphql` offers, operation by operation: its arguments, who may call it, and what it costs. How to use it is
in the [API guide](API-GUIDE.md), for workers in [Remote workers](REMOTE-WORKERS.md); [schema.graphql](schema.graphql) is the same
for programs. This page is written by `manage.py graphql_schema --markdown`.

**Who.** *Everybody* is also who has not signed in. Admins may call all the rest. *Worker token*: a token of
`manage.py issue_worker_token` opens it too.

**Cost.** The points that a field costs beside those of what is selected below it; a field of which nothing is said costs one.
Those below a list count once an item. An operation may cost `DTQ_API_MAX_COST` points; see [Limits](API-GUIDE.md#limits).

## Errors

An operation that takes arguments can be refused as `BAD_USER_INPUT`, one that is not for everybody as `UNAUTHENTICATED` or
`FORBIDDEN`, one that takes an id or a name as `NOT_FOUND`, and one that changes what is there as `CONFLICT`; every one as
`RATE_LIMITED`, `QUERY_TOO_COMPLEX`, `PAYLOAD_TOO_LARGE`, `UNAVAILABLE` or `INTERNAL`. What to do then is in
[Troubleshooting](TROUBLESHOOTING.md#when-the-api-refuses).

| `extensions.code` | HTTP status, if the whole request was refused |
| --- | --- |
"""
_AREAS = {
    "tasks": "Tasks and queues",
    "scheduling": "Schedules and the past",
    "workers": "Workers",
    "for workers": "For workers",
    "accounts": "Accounts",
    "dtq_site": "Health",
}
_TYPES: Mapping[type[GraphQLNamedType], str] = {
    GraphQLObjectType: "Objects",
    GraphQLInputObjectType: "Inputs",
    GraphQLEnumType: "Enums",
    GraphQLScalarType: "Scalars",
}
_USUAL = Price()


@dataclass(frozen=True)
class _Operation:
    kind: str
    name: str
    field: GraphQLField
    access: Access
    price: Price

    @property
    def area(self) -> str:
        """The key of its area: its app, but what is for workers alone stands apart."""
        if self.access.roles == {Role.WORKER, Role.ADMIN}:
            return "for workers"
        return self.access.module.partition(".")[0]


def markdown(schema: GraphQLSchema, prices: Mapping[str, Price]) -> str:
    """The text of the page."""
    lines = [f"| `{code}` | {status} |" for code, status in sorted(STATUS.items(), key=lambda item: item[1])]
    operations = list(_operations(schema, prices))
    for area, title in _AREAS.items():
        lines += ["", f"## {title}", *_section(operation for operation in operations if operation.area == area)]
    roots = (schema.query_type, schema.mutation_type, schema.subscription_type)
    types = [kind for kind in schema.type_map.values() if kind not in roots and not _is_graphql_own(kind)]
    for cls, title in _TYPES.items():
        lines += ["", f"## {title}"]
        for kind in sorted((kind for kind in types if isinstance(kind, cls)), key=lambda kind: kind.name):
            lines += ["", f"### {kind.name}", "", _text(kind.description), *_members(kind, prices)]
    return _HEAD + "\n".join(lines) + "\n"


def _operations(schema: GraphQLSchema, prices: Mapping[str, Price]) -> Iterator[_Operation]:
    for root in (schema.query_type, schema.mutation_type, schema.subscription_type):
        for name, field in root.fields.items() if root else ():
            access = access_of(field.subscribe or field.resolve)
            yield _Operation(root.name.lower(), name, field, access, prices.get(f"{root.name}.{name}", _USUAL))


def _section(operations: Iterable[_Operation]) -> Iterator[str]:
    for operation in operations:
        yield from ("", f"### {operation.name}", "", _text(operation.field.description), "")
        yield f"A {operation.kind} for {_who(operation.access)}; {_cost(operation.price)}. Answers `{operation.field.type}`."
        yield from _arguments(operation.field.args)


def _who(access: Access) -> str:
    if access.roles == PUBLIC:
        return "everybody"
    others = [role for role in Role if role in access.roles and role is not Role.ADMIN]
    names = " and ".join(filter(None, [", ".join(others[:-1]), *others[-1:]])) or "admins"
    return f"{names}, or a worker token" if access.worker_token else names


def _cost(price: Price) -> str:
    said = f"{price.points:,} point{'s' * (price.points != 1)}"
    if price.sized_by:
        more = f", and {price.points_per_item:,} more" if price.points_per_item else ""
        said += f", and for each of `{price.sized_by}` what is selected{more}"
    if price.offset_by:
        said += f", and one for each item that `{price.offset_by}` passes over"
    if price.texts:
        names = " and ".join(f"`{path}`" for path in price.texts)
        said += f", and {price.points_per_text:,} to look for {names}{' each' * (len(price.texts) > 1)}"
    return said


def _arguments(arguments: Mapping[str, GraphQLArgument]) -> Iterator[str]:
    if arguments:
        yield from ("", "| argument | type | default | meaning |", "| --- | --- | --- | --- |")
    for name, argument in arguments.items():
        yield f"| `{name}` | `{argument.type}` | {_default(argument)} | {_text(argument.description)} |"


def _members(kind: GraphQLNamedType, prices: Mapping[str, Price]) -> Iterator[str]:
    if isinstance(kind, GraphQLEnumType):
        yield from ("", "| value | meaning |", "| --- | --- |")
        for name, value in kind.values.items():
            yield f"| `{name}` | {_text(value.description)} |"
    if isinstance(kind, GraphQLInputObjectType):
        yield from ("", "| field | type | default | meaning |", "| --- | --- | --- | --- |")
        for name, field in kind.fields.items():
            yield f"| `{name}` | `{field.type}` | {_default(field)} | {_text(field.description)} |"
    if isinstance(kind, GraphQLObjectType):
        yield from ("", "| field | type | meaning |", "| --- | --- | --- |")
        for name, field in kind.fields.items():
            price = prices.get(f"{kind.name}.{name}")
            dear = f" Costs {_cost(price)}." if price and price.points > _USUAL.points else ""
            taken = f"({', '.join(field.args)})" if field.args else ""
            yield f"| `{name}{taken}` | `{field.type}` | {_text(field.description)}{dear} |"


def _default(value: GraphQLArgument | GraphQLInputField) -> str:
    return "" if value.default_value is Undefined else f"`{json.dumps(value.default_value)}`"


def _text(description: str | None) -> str:
    return " ".join((description or "").split()).replace("|", "\\|")


def _is_graphql_own(kind: GraphQLNamedType) -> bool:
    return is_introspection_type(kind) or is_specified_scalar_type(kind)
