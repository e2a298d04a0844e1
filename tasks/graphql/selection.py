"""What a query selects below a field, known before the field is resolved, so that a list can be loaded in one go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from graphql import FieldNode, GraphQLObjectType, GraphQLResolveInfo, get_named_type
from graphql.execution.collect_fields import collect_sub_fields


class Selection:
    """The selected fields of one object type, by their GraphQL names; fragments, `@skip` and `@include` are followed.

    `selection[name]` is what is selected below a selected field.
    """

    def __init__(self, info: GraphQLResolveInfo, kind: GraphQLObjectType, nodes: Sequence[FieldNode]) -> None:
        self._info, self._kind, self._above = info, kind, list(nodes)

    @classmethod
    def below(cls, info: GraphQLResolveInfo) -> Selection:
        """What is selected below the field that is being resolved."""
        return cls(info, get_named_type(info.return_type), info.field_nodes)

    def __contains__(self, field: str) -> bool:
        return field in self._nodes

    def __getitem__(self, field: str) -> Selection:
        return Selection(self._info, get_named_type(self._kind.fields[field].type), self._nodes[field])

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def times(self, field: str) -> int:
        """Under how many names the field is shown."""
        return sum(nodes[0].name.value == field for nodes in self._by_alias.values())

    @cached_property
    def _by_alias(self) -> dict[str, list[FieldNode]]:
        info = self._info
        return collect_sub_fields(info.schema, info.fragments, info.variable_values, self._kind, self._above)

    @cached_property
    def _nodes(self) -> dict[str, list[FieldNode]]:
        nodes: dict[str, list[FieldNode]] = {}
        for node in (node for aliased in self._by_alias.values() for node in aliased):
            nodes.setdefault(node.name.value, []).append(node)
        return nodes
