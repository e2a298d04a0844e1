"""How large a request may be: its document, its variables, and what its operation costs.

A document is measured by its shape alone and in linear time, before validation, because some rules of the specification
take time that grows with the square of the fields that stand in one place. So are lists in variables, before their items are
looked at one by one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    ExecutableDefinitionNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInputType,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    get_nullable_type,
    is_input_object_type,
    is_list_type,
)

from dtq_site.api.options import ApiOptions
from dtq_site.foundation.errors import BadInput, DTQError, PayloadTooLarge

MOST_REPEATS = 30
"""How often a field may be selected in one place. Validation compares each with each; clients that put fragments together
select some fields twice or thrice."""

MOST_LISTED, MOST_LISTED_UNSIGNED = 12_000, 200
"""How many items the lists in variables may have together, those within JSON values apart, and those of somebody who has not
signed in."""

_STEPS_PER_FIELD = 20

_as_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class QueryTooComplex(DTQError):
    """The document is too large: split it, or select less."""

    code = "QUERY_TOO_COMPLEX"


@dataclass(frozen=True)
class Shape:
    """What a selection set amounts to once its fragments are put in place."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0


def check_limits(document: DocumentNode, options: ApiOptions) -> None:
    """Raise QueryTooComplex if an operation is deeper, larger or more aliased than `options` allow."""
    ruler = _Ruler(document)
    definitions = [node for node in document.definitions if isinstance(node, ExecutableDefinitionNode)]
    try:
        measured = [(node, ruler.definition(node)) for node in definitions]
    except RecursionError:
        raise QueryTooComplex("The document's fragments are nested too deeply.") from None
    shapes = [shape for node, shape in measured if isinstance(node, OperationDefinitionNode)]
    _refuse_above(options.max_depth, max((shape.depth for shape in shapes), default=0), "levels of nested fields")
    _refuse_above(options.max_fields, max((shape.fields for shape in shapes), default=0), "fields")
    # Validation looks at every definition, also at fragments that nothing spreads.
    _refuse_above(options.max_fields, ruler.fields_written, "fields")
    _refuse_above(options.max_aliases, max((shape.aliases for shape in shapes), default=0), "aliases")
    if ruler.fields_written > MOST_REPEATS:
        _refuse_repeats(document, definitions, options)


def _refuse_above(limit: int, amount: int, what: str) -> None:
    if amount > limit:
        raise QueryTooComplex(f"The document has {amount:,} {what}; at most {limit:,} are allowed.")


def _refuse_repeats(
    document: DocumentNode, definitions: Iterable[ExecutableDefinitionNode], options: ApiOptions
) -> None:
    """Raise QueryTooComplex if one field is selected very often in one place, fragments put in theirs.

    Fragments in a circle, which validation is to tell of, are followed no farther than any that are allowed could lead.
    """
    fragments = _fragments_of(document)
    left = _STEPS_PER_FIELD * options.max_fields
    places = [[node.selection_set] for node in definitions]
    while places:
        nodes: dict[str, list[FieldNode]] = {}
        for node in _fields_in(places.pop(), fragments):
            nodes.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
        for name, alike in nodes.items():
            if len(alike) > MOST_REPEATS:
                raise QueryTooComplex(
                    f"The field {name!r} is selected {len(alike):,} times in one place; at most {MOST_REPEATS} are allowed."
                )
            left -= len(alike)
            places.append([node.selection_set for node in alike if node.selection_set])
        if left < 0:
            raise QueryTooComplex("The document's fragments come to too many fields.")


def _fields_in(
    places: Iterable[SelectionSetNode], fragments: Mapping[str, FragmentDefinitionNode]
) -> Iterator[FieldNode]:
    """The fields of selection sets in one place; each fragment counts once there."""
    seen: set[str] = set()
    pending = [node for place in places for node in place.selections]
    while pending:
        node = pending.pop()
        if isinstance(node, FieldNode):
            yield node
        elif not isinstance(node, FragmentSpreadNode):
            pending += node.selection_set.selections
        elif node.name.value in fragments and node.name.value not in seen:
            seen.add(node.name.value)
            pending += fragments[node.name.value].selection_set.selections


def _fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    fragments = (node for node in document.definitions if isinstance(node, FragmentDefinitionNode))
    return {node.name.value: node for node in fragments}


def check_lists(values: Iterable[tuple[GraphQLInputType, Any]], *, signed_in: bool) -> None:
    """Raise QueryTooComplex if the lists in these values of variables have too many items, before any is looked at.

    What an object has beyond the fields of its type counts as well.
    """
    most = MOST_LISTED if signed_in else MOST_LISTED_UNSIGNED
    listed, pending = 0, list(values)
    while pending:
        kind, value = pending.pop()
        kind = get_nullable_type(kind)
        if is_list_type(kind) and isinstance(value, list):
            listed += len(value)
            _refuse_lists(listed, most)
            pending += [(kind.of_type, item) for item in value]
        elif is_input_object_type(kind) and isinstance(value, dict):
            listed += max(0, len(value) - len(kind.fields))
            _refuse_lists(listed, most)
            pending += [(field.type, value[name]) for name, field in kind.fields.items() if name in value]


def _refuse_lists(listed: int, most: int) -> None:
    if listed > most:
        raise QueryTooComplex(
            f"The lists in the variables have more than {most:,} items; send them in several requests."
        )


def check_variables(variables: Mapping[str, Any], options: ApiOptions) -> None:
    """Raise PayloadTooLarge if the variables take more bytes than `options` allow, or BadInput if they nest without end."""
    try:
        size = len(_as_json(variables).encode(errors="surrogatepass")) if variables else 0
    except RecursionError:
        raise BadInput("Variable values are nested too deeply.") from None
    if size > options.max_variables_bytes:
        raise PayloadTooLarge(
            f"The variables take {size:,} bytes as JSON; at most {options.max_variables_bytes:,} are allowed.",
            field="variables",
        )


def check_cost(cost: int, options: ApiOptions) -> None:
    """Raise QueryTooComplex, which names the cost and the limit, if an operation costs more than `options` allow."""
    if cost > options.max_cost:
        raise QueryTooComplex(
            f"The operation costs {cost:,} points; at most {options.max_cost:,} are allowed. Ask for fewer items or fields, "
            "and go through a long list by tasksConnection(after:) instead of an offset.",
            cost=cost,
            limit=options.max_cost,
        )


class _Ruler:
    """Measures definitions, each of them once."""

    def __init__(self, document: DocumentNode) -> None:
        self.fields_written = 0
        self._known: dict[int, Shape] = {}
        self._fragments = _fragments_of(document)

    def definition(self, node: ExecutableDefinitionNode) -> Shape:
        if id(node) not in self._known:
            self._known[id(node)] = Shape()  # what a fragment that spreads itself counts for; validation refuses it
            self._known[id(node)] = self._selections(node.selection_set)
        return self._known[id(node)]

    def _selections(self, selection_set: SelectionSetNode | None) -> Shape:
        shapes = [self._selection(node) for node in selection_set.selections] if selection_set else []
        return Shape(
            max((shape.depth for shape in shapes), default=0),
            sum(shape.fields for shape in shapes),
            sum(shape.aliases for shape in shapes),
        )

    def _selection(self, node: SelectionNode) -> Shape:
        if isinstance(node, FragmentSpreadNode):
            fragment = self._fragments.get(node.name.value)
            return self.definition(fragment) if fragment else Shape()
        inner = self._selections(node.selection_set)
        if not isinstance(node, FieldNode):
            return inner
        self.fields_written += 1
        # Introspection nests deeply by nature; graphql-core has a rule of its own for it.
        depth = 0 if node.name.value.startswith("__") else inner.depth + 1
        return Shape(depth, inner.fields + 1, inner.aliases + (node.alias is not None))
