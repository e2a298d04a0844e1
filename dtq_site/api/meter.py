"""What an answer comes to while it is made: how many fields are resolved, and how many bytes they take.

An operation's cost (`costs.py`) is known before it runs, but rests on estimates where no argument tells how long a list is, and
says nothing of bytes. So both are counted as the answer grows, and an operation that outgrows its limits is ended there. Who
is about to read much for it says so first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from graphql import ExecutionContext, FieldNode, GraphQLLeafType, GraphQLList, GraphQLObjectType, GraphQLResolveInfo
from graphql.pyutils import Path

from dtq_site.api.costs import price_of
from dtq_site.api.limits import QueryTooComplex
from dtq_site.api.options import ApiOptions
from dtq_site.foundation import strict_json

OVERRUN = 4
"""How many times the cost that is allowed an operation may come to if its lists are longer than was estimated."""

_SHORT = 64
_PUNCTUATION = 4
_ANY = 2**62


class Outgrown(BaseException):
    """The execution has to end, because of `refusal`. No `Exception`, which would be an error of one field, and others go on."""

    def __init__(self, refusal: QueryTooComplex) -> None:
        self.refusal = refusal
        super().__init__(refusal.message)


class Meter:
    """Counts one answer. Without limits it lets everything pass."""

    def __init__(self, *, max_fields: int = _ANY, max_bytes: int = _ANY) -> None:
        self._max_fields, self._max_bytes = max_fields, max_bytes
        self._fields = self._bytes = 0

    @classmethod
    def within(cls, options: ApiOptions) -> Meter:
        """A meter with the limits of the options."""
        return cls(max_fields=OVERRUN * options.max_cost, max_bytes=options.max_answer_bytes)

    @property
    def room(self) -> int:
        """How many bytes more the answer may take."""
        return self._max_bytes - self._bytes

    @property
    def fields_left(self) -> int:
        """How many fields more it may come to; each object has one at least."""
        return self._max_fields - self._fields

    def foresee(self, *, items: int = 0, size: int = 0) -> None:
        """End the execution if the answer has no room for so many objects more, or so many bytes, before they are read."""
        if items > self.fields_left:
            raise Outgrown(_too_many_fields(self._max_fields))
        if size > self.room:
            raise Outgrown(_too_large(self._max_bytes))

    def add(self, fields: int, size: int) -> None:
        """Count what goes into the answer. Raises Outgrown."""
        self._fields += fields
        self._bytes += size
        if self._bytes > self._max_bytes or self._fields > self._max_fields:
            self.foresee()


def _too_many_fields(limit: int) -> QueryTooComplex:
    return QueryTooComplex(
        f"The lists that it asks for are long: the operation comes to more than {limit:,} fields. "
        "Ask for fewer items or fields."
    )


def _too_large(limit: int) -> QueryTooComplex:
    return QueryTooComplex(
        f"The answer would take more than {limit:,} bytes. Ask for fewer items at once, or leave out what is large in them, "
        "such as payload, result or logs.",
        limit=limit,
    )


class MeteredExecution(ExecutionContext):
    """graphql-core's execution, which tells the meter of its context whatever goes into the answer."""

    def execute_fields_serially(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        fields: Mapping[str, list[FieldNode]],
    ) -> dict[str, Any]:
        """Run the fields of a mutation; what they change is not undone because the answer is too large."""
        self._count_keys(fields)
        try:
            return super().execute_fields_serially(parent_type, source_value, path, fields)
        except Outgrown as outgrown:
            outgrown.refusal.message += " What was to be changed may have been: look before you repeat it."
            raise

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        fields: Mapping[str, list[FieldNode]],
    ) -> dict[str, Any]:
        """Count the object's keys, then resolve its fields."""
        self._count_keys(fields)
        return super().execute_fields(parent_type, source_value, path, fields)

    def _count_keys(self, fields: Collection[str]) -> None:
        self.context_value.meter.add(len(fields), sum(map(len, fields)) + _PUNCTUATION * len(fields))

    def complete_list_value(
        self, return_type: GraphQLList, field_nodes: list[FieldNode], info: GraphQLResolveInfo, path: Path, result: Any
    ) -> Any:
        """Count what each item takes beside its fields."""
        price = price_of(info.parent_type.fields[info.field_name])
        if price and price.points_per_item:
            self.context_value.meter.add(price.points_per_item * len(result), 0)
        return super().complete_list_value(return_type, field_nodes, info, path, result)

    def complete_leaf_value(self, return_type: GraphQLLeafType, result: Any) -> Any:
        """Count the value."""
        shown = super().complete_leaf_value(return_type, result)
        self.context_value.meter.add(0, _size(shown))
        return shown


def _size(value: Any) -> int:
    """The bytes of the value as JSON, to the byte where they may be many."""
    if isinstance(value, str):
        if len(value) <= _SHORT:
            return len(value)
    elif not isinstance(value, dict | list):
        return _PUNCTUATION
    text = strict_json.compact(value)
    return len(text) if text.isascii() else len(text.encode(errors="backslashreplace"))
