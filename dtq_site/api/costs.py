"""What an operation costs, known before it runs: a point for every field that it resolves, those in lists once an item.

How many items a list has is what the caller asks for in an argument, or else an estimate; both stand in the price of the
field. Fields behind `@skip` and `@include` always count. Documents must be valid: prices are found by types.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    StringValueNode,
    Undefined,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
)

from dtq_site.foundation.strict_json import read_integer

_KEY = "price"
_INTROSPECTION = {"__schema": 5_000, "__type": 500}
"""The whole schema comes to about so many fields."""


@dataclass(frozen=True)
class Price:
    """What one field costs beside the fields that are selected below it.

    `items` is the estimate for a list whose length no argument tells. `sized_by` names the argument that does, a number or
    a list of inputs; on an object, such as a page, it tells the length of the lists right below. `points_per_item` is the
    work that each of these takes, whatever is selected of it. A resolver refuses more than `most`.

    `offset_by` names the argument that tells how many items are passed over, each of which costs a point. `texts` are arguments,
    or keys of an argument (``filter.search``), by which text is looked for: each that is given costs `points_per_text`.
    """

    points: int = 1
    points_per_item: int = 0
    items: int = 10
    sized_by: str | None = None
    most: int | None = None
    offset_by: str | None = None
    texts: tuple[str, ...] = ()
    points_per_text: int = 0


_USUAL = Price()


def declare_prices(schema: GraphQLSchema, prices: Mapping[str, Price]) -> None:
    """Give fields (``Task.logs``) their prices; all others cost a point. Raises KeyError for a field that there is not."""
    for path, price in prices.items():
        kind, _, name = path.partition(".")
        schema.type_map[kind].fields[name].extensions[_KEY] = price


def price_of(definition: GraphQLField) -> Price | None:
    """The price that was declared for a field."""
    return definition.extensions.get(_KEY)


@dataclass(frozen=True)
class Size:
    """The length of a list: `usual`, unless a variable tells it."""

    usual: int
    most: int | None = None
    variable: str | None = None

    def of(self, variables: Mapping[str, Any]) -> int:
        """The length that these variables ask for; what is no length at all is refused later, at its place."""
        return self.bounded(_length(variables.get(self.variable), self.usual) if self.variable else self.usual)

    def bounded(self, length: int) -> int:
        """`length`, within what a resolver would answer."""
        return max(0, length if self.most is None else min(length, self.most))


@dataclass(frozen=True)
class Text:
    """Whether a text is given in a variable, under these keys; it counts once or not at all."""

    variable: str
    keys: tuple[str, ...]
    usual: int

    def of(self, variables: Mapping[str, Any]) -> int:
        """How often it counts with these variables."""
        if self.variable not in variables:
            return self.usual
        value = variables[self.variable]
        for key in self.keys:
            value = value.get(key) if isinstance(value, dict) else None
        return int(bool(value))


def _length(value: Any, otherwise: int) -> int:
    if isinstance(value, list):
        return len(value)
    # JSON's 7.0 is an Int too.
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return int(value) if is_number else otherwise


@dataclass(frozen=True)
class Cost:
    """The points of a selection: some for certain, and those of lists and texts, which wait for the variables."""

    points: int = 0
    lists: tuple[tuple[Size | Text, Cost], ...] = ()

    def of(self, variables: Mapping[str, Any]) -> int:
        """All points, with these variables."""
        return self.points + sum(size.of(variables) * each.of(variables) for size, each in self.lists)

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.points + other.points, self.lists + other.lists)

    def times(self, size: Size) -> Cost:
        """The cost of so many."""
        if size.variable or self.lists:
            return Cost(0, ((size, self),))
        return Cost(self.points * size.of({}))


def cost_of(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> Cost:
    """The cost of one operation of a valid document."""
    kind = schema.get_root_type(operation.operation)
    return _Reckoner(document, operation).selections(kind, operation.selection_set, None) if kind else Cost()


@dataclass
class _Reckoner:
    """Adds up one operation; the fragments are put where they are spread."""

    document: DocumentNode
    operation: OperationDefinitionNode
    fragments: dict[str, FragmentDefinitionNode] = field(init=False)
    defaults: dict[str, ValueNode | None] = field(init=False)

    def __post_init__(self) -> None:
        fragments = (node for node in self.document.definitions if isinstance(node, FragmentDefinitionNode))
        self.fragments = {node.name.value: node for node in fragments}
        variables = self.operation.variable_definitions or ()
        self.defaults = {node.variable.name.value: node.default_value for node in variables}

    def selections(self, kind: GraphQLNamedType, nodes: SelectionSetNode | None, inherited: Size | None) -> Cost:
        costs = (self._selection(kind, node, inherited) for node in (nodes.selections if nodes else ()))
        return sum(costs, Cost())

    def _selection(self, kind: GraphQLNamedType, node: SelectionNode, inherited: Size | None) -> Cost:
        if isinstance(node, FieldNode):
            return self._field(kind, node, inherited)
        fragment = self.fragments[node.name.value] if isinstance(node, FragmentSpreadNode) else node
        return self.selections(kind, fragment.selection_set, inherited)

    def _field(self, kind: GraphQLNamedType, node: FieldNode, inherited: Size | None) -> Cost:
        if node.name.value.startswith("__"):
            return Cost(_INTROSPECTION.get(node.name.value, 1))  # it has a bound of its own for depth
        definition = kind.fields[node.name.value]
        price, inner = price_of(definition) or _USUAL, get_named_type(definition.type)
        asked = self._size(definition, node, price.sized_by, price.items, price.most) if price.sized_by else None
        own = Cost(price.points) + (Cost(price.points_per_item).times(asked) if asked else Cost())
        if price.offset_by:
            own += Cost(1).times(self._size(definition, node, price.offset_by, 0, None))
        for path in price.texts:
            argument, *keys = path.split(".")
            own += self._text(_written(node, argument), tuple(keys), Cost(price.points_per_text))
        if not is_list_type(get_nullable_type(definition.type)):
            return own + self.selections(inner, node.selection_set, asked)
        if node.selection_set is None:
            return own
        each = self.selections(inner, node.selection_set, None)
        return own + each.times(asked or inherited or Size(price.items))

    def _size(self, definition: GraphQLField, node: FieldNode, argument: str, otherwise: int, most: int | None) -> Size:
        """The size that an argument tells."""
        default = definition.args[argument].default_value
        usual = Size(otherwise if default in (Undefined, None) else default, most)
        written = _written(node, argument)
        if isinstance(written, VariableNode):
            name = written.name.value
            return Size(_literal_length(self.defaults.get(name), usual.usual), most, name)
        return Size(usual.bounded(_literal_length(written, usual.usual)))

    def _text(self, written: ValueNode | None, keys: tuple[str, ...], cost: Cost) -> Cost:
        """What it costs to look for a text, if one is given."""
        if isinstance(written, VariableNode):
            name = written.name.value
            usual = self._text(self.defaults.get(name), keys, Cost(1)).points
            return Cost(0, ((Text(name, keys, usual), cost),))
        if keys:
            members = written.fields if isinstance(written, ObjectValueNode) else ()
            member = next((each.value for each in members if each.name.value == keys[0]), None)
            return self._text(member, keys[1:], cost)
        return cost if isinstance(written, StringValueNode) and written.value else Cost()


def _written(node: FieldNode, argument: str) -> ValueNode | None:
    return next((each.value for each in node.arguments if each.name.value == argument), None)


def _literal_length(node: ValueNode | None, otherwise: int) -> int:
    if node is None or isinstance(node, NullValueNode):
        return otherwise
    if isinstance(node, ListValueNode):
        return len(node.values)
    return _length(read_integer(node.value), otherwise) if isinstance(node, IntValueNode) else 1
