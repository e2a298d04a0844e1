"""GraphQL scalars that every app shares, and enums that take their members the way people write them.

A value that is not allowed raises ValueError with a message for people; graphql-core adds where it stood.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import graphene
from graphql import (
    BooleanValueNode,
    EnumValueNode,
    FloatValueNode,
    GraphQLEnumType,
    GraphQLEnumValue,
    GraphQLSchema,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    StringValueNode,
    ValueNode,
    VariableNode,
    is_enum_type,
)

from dtq_site.foundation import strict_json

Variables = dict[str, Any] | None


class JSON(graphene.Scalar):
    """Any JSON value: an object, a list, a text, a number, a boolean or null.

    Integers may be of any size. NaN and Infinity are not JSON and are refused.
    """

    @staticmethod
    def serialize(value: Any) -> Any:
        """Pass the value through: what is stored was checked when it came in."""
        return value

    @staticmethod
    def parse_value(value: Any) -> Any:
        """Check a variable's value. Raises ValueError if it is not JSON."""
        strict_json.encode(value)
        return value

    @staticmethod
    def parse_literal(node: ValueNode, variables: Variables = None) -> Any:
        """Read a literal, with the variables in it. Raises ValueError if it is not JSON."""
        return JSON.parse_value(_json_literal(node, variables or {}))


def _json_literal(node: ValueNode, variables: dict[str, Any]) -> Any:
    if isinstance(node, ObjectValueNode):
        return {
            field.name.value: _json_literal(field.value, variables)
            for field in node.fields
            if not _is_missing(field.value, variables)
        }
    if isinstance(node, ListValueNode):
        return [_json_literal(item, variables) for item in node.values]
    if isinstance(node, VariableNode):
        return _as_written(variables.get(node.name.value))
    if isinstance(node, NullValueNode):
        return None
    return _JSON_LEAVES[type(node)](node.value)


_JSON_LEAVES: dict[type, Callable[[Any], Any]] = {
    IntValueNode: strict_json.read_integer,
    FloatValueNode: float,
    StringValueNode: str,
    BooleanValueNode: bool,
    EnumValueNode: str,
}


def _is_missing(node: ValueNode, variables: dict[str, Any]) -> bool:
    return isinstance(node, VariableNode) and node.name.value not in variables


def _as_written(value: Any) -> Any:
    """A variable arrives here as its declared type made it; inside JSON it stands as the client wrote it."""
    if isinstance(value, datetime):
        return DateTime.serialize(value)
    return value.name if isinstance(value, enum.Enum) else value


class DateTime(graphene.Scalar):
    """A moment in ISO 8601, such as `2030-01-31T09:00:00Z`. Without a zone it is UTC. Answers are in UTC, with `Z`."""

    @staticmethod
    def serialize(value: Any) -> str:
        """Write an aware moment in UTC, to the microsecond, so that it can come back as a filter and match."""
        if not isinstance(value, datetime) or value.tzinfo is None:
            raise TypeError(f"an aware datetime is needed, not {value!r}")
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"

    @staticmethod
    def parse_value(value: Any) -> datetime:
        """Read ISO 8601 text as an aware moment in UTC. Raises ValueError."""
        try:
            moment = datetime.fromisoformat(value)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            raise ValueError("Write a moment in ISO 8601, such as 2030-01-31T09:00:00Z.") from None

    @staticmethod
    def parse_literal(node: ValueNode, _variables: Variables = None) -> datetime:
        """Read a text literal. Raises ValueError."""
        return DateTime.parse_value(node.value if isinstance(node, StringValueNode) else None)


def lenient_enums(schema: graphene.Schema | GraphQLSchema, *names: str) -> None:
    """Let the enums of these names, or all of the schema, take a member in any case, as text too: ``pending``, ``"dead-letter"``.

    Introspection and answers keep the names as declared. Call it once, after the schema is built. Raises KeyError for
    a name that the schema does not have.
    """
    type_map = (schema.graphql_schema if isinstance(schema, graphene.Schema) else schema).type_map
    ours = [name for name, kind in type_map.items() if is_enum_type(kind) and not name.startswith("__")]
    for name in names or ours:
        _make_lenient(type_map[name])


def _make_lenient(enum_type: GraphQLEnumType) -> None:
    strict_value, strict_literal = enum_type.parse_value, enum_type.parse_literal

    def member(text: str) -> GraphQLEnumValue | None:
        return enum_type.values.get(text.upper().replace("-", "_"))

    # graphql-core passes a different number of arguments in each of its releases.
    def parse_value(value: Any, *args: Any, **kwargs: Any) -> Any:
        known = member(value) if isinstance(value, str) else None
        return known.value if known else strict_value(value, *args, **kwargs)

    def parse_literal(node: ValueNode, *args: Any, **kwargs: Any) -> Any:
        known = member(node.value) if isinstance(node, StringValueNode | EnumValueNode) else None
        return known.value if known else strict_literal(node, *args, **kwargs)

    enum_type.parse_value = parse_value
    enum_type.parse_literal = parse_literal
