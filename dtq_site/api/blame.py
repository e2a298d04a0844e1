"""Which input field an error is about, as clients know it: ``input.priority``, ``inputs[3].payload``.

graphql-core says it in two ways: by the node of a literal, or in the message about a variable.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from graphql import (
    SKIP,
    ArgumentNode,
    DocumentNode,
    FieldNode,
    GraphQLError,
    ListValueNode,
    Node,
    ObjectFieldNode,
    ObjectValueNode,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    VisitorAction,
    visit,
)

_REFUSED_VARIABLE = re.compile(r"Variable '\$\w+' got invalid value (.*?)(?: at '\w+((?:\.\w+|\[\d+\])+)')?", re.DOTALL)
_MISSING_ARGUMENT = re.compile(r"argument '(\w+)' of type '.+' is required")
_MISSING_OR_UNKNOWN = re.compile(r"Field '(?:\w+\.)?(\w+)' (?:of required type '.+' was not provided|is not defined)")


class Blame:
    """Says which input fields the errors about one document are about. The document is looked through once at most."""

    def __init__(self, document: DocumentNode) -> None:
        self._document = document

    @cached_property
    def _paths(self) -> _InputPaths:
        return _InputPaths(self._document)

    def field_of(self, error: GraphQLError) -> str | None:
        """The path of the argument or input field that `error` is about, or None if it is about none."""
        node = error.nodes[0] if error.nodes else None
        if node is None:
            return None
        if isinstance(node, FieldNode):
            missing = _MISSING_ARGUMENT.search(error.message)
            return missing[1] if missing else None
        if isinstance(node, VariableDefinitionNode):
            return _in_variable(self._paths, node.variable.name.value, error)
        path = self._paths.of_nodes.get(id(node))
        return _with_member(path, error.message) if path and isinstance(node, ObjectValueNode) else path


@dataclass(frozen=True)
class RefusedVariable:
    """What graphql-core says of a variable: the value as it printed it, its place in the variable, and the reason."""

    value: str
    place: str
    reason: str


def refused_variable(error: GraphQLError) -> RefusedVariable | None:
    """What `error` says of a variable's value, or None if it is about something else."""
    if not isinstance(error.original_error, GraphQLError):
        return None
    reason = error.original_error.message
    said = _REFUSED_VARIABLE.fullmatch(error.message.removesuffix(f"; {reason}"))
    return RefusedVariable(said[1], said[2] or "", reason) if said else None


def _in_variable(paths: _InputPaths, variable: str, error: GraphQLError) -> str:
    path = paths.of_variables.get(variable, variable)
    refused = refused_variable(error)
    if refused is None:
        return path  # the variable as a whole: missing, or of another type than is expected where it stands
    return _with_member(path + refused.place, refused.reason)


def _with_member(path: str, reason: str) -> str:
    """An object is blamed for a field that is missing or too much in it; name that field."""
    member = _MISSING_OR_UNKNOWN.match(reason)
    return f"{path}.{member[1]}" if member else path


class _InputPaths(Visitor):
    """The path of every literal in a document's arguments, and of the first place of every variable."""

    def __init__(self, document: DocumentNode) -> None:
        super().__init__()
        self.of_nodes: dict[int, str] = {}
        self.of_variables: dict[str, str] = {}
        visit(document, self)

    def enter_argument(self, node: ArgumentNode, *_args: object) -> VisitorAction:
        self._note(node, node.name.value)
        return SKIP

    def _note(self, node: Node, path: str) -> None:
        self.of_nodes[id(node)] = path
        if isinstance(node, ArgumentNode | ObjectFieldNode):
            self._note(node.value, path)
        elif isinstance(node, ListValueNode):
            for index, item in enumerate(node.values):
                self._note(item, f"{path}[{index}]")
        elif isinstance(node, ObjectValueNode):
            for field in node.fields:
                self._note(field, f"{path}.{field.name.value}")
        elif isinstance(node, VariableNode):
            self.of_variables.setdefault(node.name.value, path)
