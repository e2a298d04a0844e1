"""The scalar in which clients say a task's priority."""

from __future__ import annotations

from typing import Any

import graphene
from graphql import EnumValueNode, IntValueNode, StringValueNode, ValueNode

from tasks.domain.priority import REMEDY, parse_priority


class Priority(graphene.Scalar):
    """A whole number from -100 to 100, or a level: `CRITICAL` (20), `HIGH` (10), `NORMAL` (5), `LOW` (1).

    A level may be written in any case and as text, a number as text too. Higher runs first.
    """

    serialize = staticmethod(int)

    @staticmethod
    def parse_value(value: Any) -> int:
        """Read a variable's value; JavaScript may send 10 as 10.0. Raises ValueError."""
        return _read(int(value) if isinstance(value, float) and value.is_integer() else value)

    @staticmethod
    def parse_literal(node: ValueNode, _variables: dict[str, Any] | None = None) -> int:
        """Read a number, a level's name or text. Raises ValueError."""
        if isinstance(node, IntValueNode | StringValueNode | EnumValueNode):
            return _read(node.value)
        raise ValueError(REMEDY)


def _read(value: object) -> int:
    try:
        return parse_priority(value)
    except ValueError:
        raise ValueError(REMEDY) from None  # without the value: the edge decides whether it may be repeated
