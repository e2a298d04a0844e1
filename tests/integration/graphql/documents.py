"""Operations written from the schema itself: all arguments that are given, and every field of what is answered."""

from __future__ import annotations

from collections.abc import Collection

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLNamedType,
    GraphQLObjectType,
    get_named_type,
    is_required_argument,
)

from dtq_site.schema import schema

_SCHEMA = schema.graphql_schema
_ROOTS = {
    "Query": ("query", _SCHEMA.query_type),
    "Mutation": ("mutation", _SCHEMA.mutation_type),
    "Subscription": ("subscription", _SCHEMA.subscription_type),
}


def operations() -> set[str]:
    """Every operation of the schema: ``Query.task``."""
    return {f"{root}.{field}" for root, (_, kind) in _ROOTS.items() if kind is not None for field in kind.fields}


def object_types() -> set[str]:
    """Every type with fields, but the roots."""
    roots = {kind for _, kind in _ROOTS.values()}
    types = _SCHEMA.type_map.values()
    return {
        kind.name
        for kind in types
        if isinstance(kind, GraphQLObjectType) and kind not in roots and not kind.name.startswith("__")
    }


def document(operation: str, arguments: Collection[str]) -> str:
    """The text of that operation, with a variable for each of the arguments, that selects all there is."""
    root, _, name = operation.partition(".")
    keyword, kind = _ROOTS[root]
    field = kind.fields[name]
    defined = ", ".join(f"${argument}: {field.args[argument].type}" for argument in arguments)
    given = ", ".join(f"{argument}: ${argument}" for argument in arguments)
    call = f"{name}({given})" if given else name
    return f"{keyword} {f'({defined})' if defined else ''} {{ answer: {call} {_selection(_type(field), ())} }}"


def selected_types(operation: str) -> set[str]:
    """The types with fields that `document` selects from."""
    root, _, name = operation.partition(".")
    return _reached(_type(_ROOTS[root][1].fields[name]), ())


def _type(of: GraphQLField | GraphQLArgument) -> GraphQLNamedType:
    return get_named_type(of.type)


def _selection(kind: GraphQLNamedType, above: tuple[GraphQLNamedType, ...]) -> str:
    if not isinstance(kind, GraphQLObjectType):
        return ""
    fields = [f"{name} {_selection(_type(field), (*above, kind))}" for name, field in _open_fields(kind, above)]
    return f"{{ {' '.join(fields)} }}"


def _reached(kind: GraphQLNamedType, above: tuple[GraphQLNamedType, ...]) -> set[str]:
    if not isinstance(kind, GraphQLObjectType):
        return set()
    below = (_reached(_type(field), (*above, kind)) for _, field in _open_fields(kind, above))
    return {kind.name}.union(*below)


def _open_fields(kind: GraphQLObjectType, above: tuple[GraphQLNamedType, ...]) -> list[tuple[str, GraphQLField]]:
    """The fields to select: a type is entered once on each way down, as many lead back to where they came from."""
    entered = (*above, kind)
    fields = [(name, field) for name, field in kind.fields.items() if _type(field) not in entered]
    for name, field in fields:
        required = [argument for argument, value in field.args.items() if is_required_argument(value)]
        assert not required, f"{kind.name}.{name} cannot be selected without {required}"
    return fields
