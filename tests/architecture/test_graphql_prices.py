"""Every list of the API has a price: an argument that tells its length, or an estimate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLObjectType,
    get_named_type,
    get_nullable_type,
    is_introspection_type,
    is_leaf_type,
    is_list_type,
)

from dtq_site.endpoint import engine
from dtq_site.prices import PRICES
from dtq_site.schema import schema

SIZES = {"limit", "first", "count", "inputs"}
TEXTS = {"search", "error"}


def object_fields() -> Iterator[tuple[str, GraphQLField]]:
    """Every field of our own that answers with objects, but for those of subscriptions, which are priced an event."""
    for kind in schema.graphql_schema.type_map.values():
        if isinstance(kind, GraphQLObjectType) and not is_introspection_type(kind) and kind.name != "Subscription":
            for name, field in kind.fields.items():
                if not is_leaf_type(get_named_type(field.type)):
                    yield f"{kind.name}.{name}", field


def is_list(field: GraphQLField) -> bool:
    return is_list_type(get_nullable_type(field.type))


def test_every_list_has_a_price() -> None:
    pages = {get_named_type(field.type).name for path, field in object_fields() if is_page(path, field)}
    lists = {path for path, field in object_fields() if is_list(field) and path.partition(".")[0] not in pages}

    assert sorted(lists - set(PRICES)) == [], "add them to dtq_site/prices.py"


def is_page(path: str, field: GraphQLField) -> bool:
    """Whether it answers with an object whose lists are as long as an argument of the field says."""
    return not is_list(field) and path in PRICES and PRICES[path].sized_by is not None


def test_a_list_whose_length_is_asked_for_is_priced_by_that() -> None:
    sized = {path: SIZES & set(field.args) for path, field in object_fields() if SIZES & set(field.args)}

    assert {path: {PRICES[path].sized_by} for path in sized} == sized


def test_a_list_that_passes_over_or_looks_for_what_is_asked_for_is_priced_by_that() -> None:
    offsets, texts = set(), {}
    for path, field in every_field():
        if "offset" in field.args:
            offsets.add(path)
        named = set(text_paths(field.args))
        if named:
            texts[path] = named

    assert {path for path, price in PRICES.items() if price.offset_by == "offset"} == offsets
    assert {path: set(price.texts) for path, price in PRICES.items() if price.texts} == texts
    assert all(price.points_per_text for price in PRICES.values() if price.texts)


def every_field() -> Iterator[tuple[str, GraphQLField]]:
    for root in (schema.graphql_schema.query_type, schema.graphql_schema.mutation_type):
        yield from ((f"{root.name}.{name}", field) for name, field in root.fields.items())


def text_paths(arguments: Mapping[str, GraphQLArgument]) -> Iterator[str]:
    """Where text is looked for, in arguments and in filters."""
    for name, argument in arguments.items():
        kind = get_named_type(argument.type)
        members = kind.fields if kind.name == "TaskFilter" else {}
        yield from ([name] if name in TEXTS else (f"{name}.{member}" for member in members if member in TEXTS))


def test_every_price_is_for_a_field_of_the_schema_and_known_to_the_engine() -> None:
    for path, price in PRICES.items():
        kind, _, name = path.partition(".")
        field = engine.schema.type_map[kind].fields[name]
        assert field.extensions["price"] == price
        assert price.sized_by is None or price.sized_by in field.args
