"""What an error message may repeat of a caller's values: a short scalar of the field to blame, unless that is a secret.

graphql-core writes the refused value into its messages, and for an object all that is in it, passwords included.
"""

from __future__ import annotations

import re

from graphql import GraphQLError, GraphQLSyntaxError, ValueNode, VariableNode, print_ast

from dtq_site.api.blame import refused_variable

LONGEST_SCALAR = 60

_SECRET = re.compile(r"(?:\w*password|current|new|\w*token)", re.IGNORECASE)
_LITERAL_TOKEN = re.compile(r"\b((?:Block)?String|Int|Float) ['\"].*$", re.DOTALL)
_INSTEAD = {"{": "{…}", "[": "[…]"}
_OUT_OF_RANGE = {"inf", "-inf"}  # what a number became that was too large to be read


def discreet_message(error: GraphQLError, field: str | None) -> str:
    """The message of graphql-core's `error`, which blames `field`, without the values that it must not repeat."""
    if isinstance(error, GraphQLSyntaxError):
        return _LITERAL_TOKEN.sub(r"\1.", error.message)
    value = _refused_value(error)
    if value is None:
        return error.message
    quoted = _quoted(value, field)
    # Found by the word before it, for a short value may also be a part of other words.
    return re.sub(rf"\b([Vv]alue:? |found ){re.escape(value)}", lambda match: match[1] + quoted, error.message)


def _refused_value(error: GraphQLError) -> str | None:
    """The value that `error` is about as its message has it."""
    if variable := refused_variable(error):
        return variable.value
    node = error.nodes[0] if error.nodes else None
    if isinstance(node, ValueNode) and not isinstance(node, VariableNode):
        return print_ast(node, max_indent_depth=100)  # the depth that graphql-core's messages have
    return None


def _quoted(value: str, field: str | None) -> str:
    if value[0] in _INSTEAD:
        return _INSTEAD[value[0]]
    if field is None or _is_secret(field) or len(value) > LONGEST_SCALAR:
        return "(not shown)"
    return "(out of range)" if value in _OUT_OF_RANGE else value


def _is_secret(field: str) -> bool:
    return any(_SECRET.fullmatch(name) for name in re.split(r"\W+", field))
