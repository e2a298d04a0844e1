"""Documents: from text to something that can be executed, kept for the next request with the same text.

Validation is most of what a small request costs, so clients that send variables instead of literals are served fastest.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

from graphql import (
    DocumentNode,
    FloatValueNode,
    GraphQLError,
    GraphQLInputType,
    GraphQLNamedType,
    GraphQLSchema,
    GraphQLSyntaxError,
    IntValueNode,
    NamedTypeNode,
    NameNode,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OperationType,
    TypeInfo,
    TypeNode,
    ValidationContext,
    ValueNode,
    ValuesOfCorrectTypeRule,
    get_named_type,
    get_operation_ast,
    is_leaf_type,
    is_specified_scalar_type,
    parse,
    specified_rules,
    specified_scalar_types,
    type_from_ast,
    validate,
)

from dtq_site.api.costs import Cost, cost_of
from dtq_site.api.limits import QueryTooComplex, check_limits
from dtq_site.api.options import ApiOptions
from dtq_site.foundation.strict_json import read_integer

_MOST_ERRORS = 20
"""After how many errors validation gives up: to suggest what may have been meant takes long."""


class InvalidDocument(Exception):
    """The text cannot be executed; `errors` says why, in terms of `document` unless it could not even be parsed."""

    def __init__(self, errors: list[GraphQLError], document: DocumentNode | None = None) -> None:
        self.errors, self.document = errors, document
        super().__init__(f"{len(errors)} errors")


class Document:
    """A valid document: `node` is its tree."""

    def __init__(self, schema: GraphQLSchema, node: DocumentNode) -> None:
        self.node = node
        self._schema = schema
        self._costs: dict[str | None, Cost] = {}
        self._variables: dict[str | None, Mapping[str, GraphQLInputType]] = {}

    def kind(self, operation_name: str | None) -> OperationType:
        """Of which kind the operation is; a query, if the name fits none, which its execution will tell."""
        operation = get_operation_ast(self.node, operation_name)
        return operation.operation if operation else OperationType.QUERY

    def cost(self, operation_name: str | None, variables: Mapping[str, Any]) -> int:
        """What the operation costs with these variables; nothing, if the name fits none."""
        if operation_name not in self._costs:
            operation = get_operation_ast(self.node, operation_name)
            if operation is None:
                return 0
            self._costs[operation_name] = cost_of(self._schema, self.node, operation)
        return self._costs[operation_name].of(variables)

    def variable_types(self, operation_name: str | None) -> Mapping[str, GraphQLInputType]:
        """The types of the operation's variables; none, if the name fits none."""
        if operation_name not in self._variables:
            operation = get_operation_ast(self.node, operation_name)
            if operation is None:
                return {}
            declared = {each.variable.name.value: each.type for each in operation.variable_definitions or ()}
            self._variables[operation_name] = {
                name: type_from_ast(self._schema, node) for name, node in declared.items()
            }
        return self._variables[operation_name]


class Documents:
    """Turns texts into valid documents of one schema, and keeps the most recent ones.

    Those of callers who have not signed in are kept apart, fewer and smaller ones, so that they drive out nobody else's.
    """

    def __init__(self, schema: GraphQLSchema, options: ApiOptions) -> None:
        self._schema = schema
        self._options = options
        self._rules = [*_RULES, *([] if options.introspection else [NoSchemaIntrospectionCustomRule])]
        prepare, prepare_unsigned = self._prepare, partial(self._prepare, max_tokens=options.max_unsigned_tokens)
        # A cache keeps what returns, not what raises.
        self._ways = {
            True: (prepare, lru_cache(maxsize=options.cached_documents)(prepare)),
            False: (prepare_unsigned, lru_cache(maxsize=options.cached_documents // 5)(prepare_unsigned)),
        }

    def find(self, text: str, *, signed_in: bool) -> Document:
        """The valid document that `text` spells. Raises InvalidDocument, or QueryTooComplex if it exceeds a limit."""
        prepare, kept = self._ways[signed_in]
        return kept(text) if len(text) <= self._options.cached_document_length else prepare(text)

    def _prepare(self, text: str, max_tokens: int | None = None) -> Document:
        max_tokens = min(self._options.max_tokens, max_tokens or self._options.max_tokens)
        try:
            document = parse(text, max_lexical_tokens=max_tokens, max_comments=max_tokens)
        except GraphQLSyntaxError as error:
            if error.message.endswith("Parsing aborted."):  # a limit of the parser; all else is wrong grammar
                raise QueryTooComplex(error.message.removeprefix("Syntax Error: ")) from None
            raise InvalidDocument([error]) from None
        check_limits(document, self._options)
        adopt_expected_types(self._schema, document)
        # A suggestion tells a name of the schema, which introspection is not to tell.
        hiding = not self._options.introspection
        try:
            errors = validate(self._schema, document, self._rules, max_errors=_MOST_ERRORS, hide_suggestions=hiding)
        except GraphQLError as error:  # a rule of graphql-core does so about a variable in a subscription's @skip
            errors = [error]
        if errors:
            raise InvalidDocument(errors, document)
        return Document(self._schema, document)


class _ValuesOfCorrectType(ValuesOfCorrectTypeRule):
    """graphql-core's rule, and a sentence for people about a number that is too large to be read, whatever is expected."""

    def is_valid_value_node(self, node: ValueNode) -> None:
        if isinstance(node, IntValueNode | FloatValueNode) and abs(_READ[type(node)](node.value)) == math.inf:
            self.report_error(GraphQLError("The number is too large.", node))
        else:
            super().is_valid_value_node(node)


_READ = {IntValueNode: read_integer, FloatValueNode: float}
_RULES = [_ValuesOfCorrectType if rule is ValuesOfCorrectTypeRule else rule for rule in specified_rules]


def adopt_expected_types(schema: GraphQLSchema, document: DocumentNode) -> None:
    """Let a variable that is declared as a built-in scalar stand where a scalar or an enum of ours is expected.

    Clients declare ``$status: String`` or ``$priority: Int`` for arguments that take such values as literals. The
    declaration is changed to the expected type, so that validation and coercion treat it like any other.
    """
    context = ValidationContext(schema, document, TypeInfo(schema), lambda error: None)
    for operation in document.definitions:
        if not isinstance(operation, OperationDefinitionNode):
            continue
        declared = {
            definition.variable.name.value: named
            for definition in operation.variable_definitions or ()
            if (named := _innermost(definition.type)).name.value in specified_scalar_types
        }
        for variable, types in (_expected_types(context, operation) if declared else {}).items():
            if variable in declared and len(types) == 1:
                _declare(declared[variable], *types)


def _expected_types(context: ValidationContext, operation: OperationDefinitionNode) -> dict[str, set[GraphQLNamedType]]:
    """The types that are expected where each variable stands; inside a JSON literal none is."""
    expected = defaultdict(set)
    for usage in context.get_recursive_variable_usages(operation):
        if usage.type is not None:
            expected[usage.node.name.value].add(get_named_type(usage.type))
    return expected


def _innermost(node: TypeNode) -> NamedTypeNode:
    while not isinstance(node, NamedTypeNode):
        node = node.type
    return node


def _declare(declared: NamedTypeNode, expected: GraphQLNamedType) -> None:
    if is_leaf_type(expected) and not is_specified_scalar_type(expected):
        declared.name = NameNode(value=expected.name, loc=declared.name.loc)
