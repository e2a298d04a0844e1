"""Runs one GraphQL request against the schema, on the thread that calls; HTTP and WebSocket end here."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    execute,
    get_operation_ast,
)

from dtq_site.api.context import Postponed, RequestContext
from dtq_site.api.documents import Document, Documents, InvalidDocument
from dtq_site.api.errors import ErrorReporter, MethodNotAllowed
from dtq_site.api.limits import check_cost, check_lists, check_variables
from dtq_site.api.live_query import LiveQuery, NotExecutable, interest_of
from dtq_site.api.meter import Meter, MeteredExecution, Outgrown
from dtq_site.api.options import ApiOptions
from dtq_site.api.rate_limits import RateLimits, client_of
from dtq_site.foundation.errors import BadInput


@dataclass(frozen=True)
class GraphQLRequest:
    """One operation to run: a document, its variables as JSON has them, and the operation's name if there are more."""

    query: str
    variables: dict[str, Any] = field(default_factory=dict)
    operation_name: str | None = None


@dataclass(frozen=True)
class Answer:
    """The body of the answer. `refused` has the code of the first error if nothing was executed.

    A `postponed` field can be asked again, see `Engine.ask_again`; the body is right without that too.
    """

    body: dict[str, Any]
    refused: str | None = None
    postponed: Postponed | None = None


class Engine:
    """Executes requests against one schema, within the limits of the options."""

    def __init__(
        self, schema: GraphQLSchema, options: ApiOptions, reporter: ErrorReporter, rate_limits: RateLimits
    ) -> None:
        self.schema = schema
        self._options = options
        self._hide_suggestions = not options.introspection  # a suggestion tells a name of the schema
        self._documents = Documents(schema, options)
        self._reporter = reporter
        self._rate_limits = rate_limits

    def answer(self, request: GraphQLRequest, context: RequestContext, *, may_change: bool = True) -> Answer:
        """Run `request`; without `may_change` a mutation is refused. Never raises."""

        def run(document: Document) -> Answer:
            _refuse_other_operations(document.kind(request.operation_name), may_change)
            return self._executed(document.node, request, context)

        return self._guarded(request, context, run)

    def ask_again(self, request: GraphQLRequest, answer: Answer, context: RequestContext) -> Answer:
        """Run the postponed field of `answer` alone; returns the answer with what it shows now. Never raises.

        The other fields keep what they have shown. A refusal or an error of the field is the answer to all of it.
        """
        assert answer.postponed is not None
        try:
            found = self._documents.find(request.query, signed_in=context.identity is not None)
            document = _alone(found.node, request.operation_name, answer.postponed.nodes)
            again = self._executed(document, request, context)
        except Exception as error:
            return self.refusal(error)
        if again.refused or "errors" in again.body:
            return again
        return Answer({"data": answer.body["data"] | again.body["data"]}, postponed=again.postponed)

    def open(self, request: GraphQLRequest, context: RequestContext) -> Answer | LiveQuery:
        """Run `request`, or make it ready if it is a subscription. Never raises."""

        def run(document: Document) -> Answer | LiveQuery:
            if document.kind(request.operation_name) is OperationType.SUBSCRIPTION:
                return self._live_query(document, request, context)
            return self._executed(document.node, request, context)

        return self._guarded(request, context, run)

    def _guarded(self, request: GraphQLRequest, context: RequestContext, run: Callable[[Document], Any]) -> Any:
        document = None
        try:
            document = self._admitted(request, context)
            return run(document)
        except InvalidDocument as invalid:
            return self._refusal(self._reporter.inside(invalid.errors, invalid.document))
        except NotExecutable as unfit:
            return self._refusal(self._reporter.inside(unfit.errors, document and document.node))
        except Exception as error:
            return self.refusal(error)

    def _admitted(self, request: GraphQLRequest, context: RequestContext) -> Document:
        """The document, if the request is within all limits. What is refused counts for the rate like any other."""
        self._rate_limits.refuse_exhausted(context)
        permits, signed_in = 1, context.identity is not None
        try:
            document = self._documents.find(request.query, signed_in=signed_in)
            check_variables(request.variables, self._options)
            types = document.variable_types(request.operation_name)
            values = [(types[name], value) for name, value in request.variables.items() if name in types]
            check_lists(values, signed_in=signed_in)
            cost = document.cost(request.operation_name, request.variables)
            check_cost(cost, self._options)
            permits = max(1, -(-cost // self._options.cost_per_request))
        finally:
            self._rate_limits.take(context, permits)
        return document

    def count(self, context: RequestContext) -> None:
        """Count a request that could not even be read. Raises RateLimited."""
        self._rate_limits.take(context)

    def count_refused(self, address: str) -> None:
        """Count a request from that address whose token does not hold. Raises RateLimited."""
        self._rate_limits.take_of_address(address)

    def count_user(self, user_id: UUID) -> None:
        """Count a socket of that user. Raises RateLimited."""
        self._rate_limits.take_of_user(user_id)

    def refuse_exhausted(self, user_id: UUID) -> None:
        """Raise RateLimited if that user sends too many requests: before the database is asked about anything."""
        self._rate_limits.refuse_exhausted_user(user_id)

    def refusal(self, error: Exception) -> Answer:
        """The answer to a request that could not be run because of `error`."""
        return self._refusal([self._reporter.outside(error)])

    def _refusal(self, errors: list[dict[str, Any]]) -> Answer:
        return Answer({"errors": errors}, refused=errors[0]["extensions"]["code"])

    def _live_query(self, document: Document, request: GraphQLRequest, context: RequestContext) -> LiveQuery:
        interest = interest_of(
            self.schema,
            document.node,
            request.variables,
            request.operation_name,
            context,
            hide_suggestions=self._hide_suggestions,
        )
        declared = document.variable_types(request.operation_name)
        variables = {name: value for name, value in request.variables.items() if name in declared}
        # What hangs on an event depends on nothing of a caller but role and team.
        caller = (context.identity.role, context.identity.team_id) if context.identity else None
        return LiveQuery(
            interest,
            (request.query, request.operation_name, json.dumps(variables, sort_keys=True), caller),
            client_of(context),
            lambda event: self._executed(document.node, request, context, event).body,
        )

    def _executed(
        self, document: DocumentNode, request: GraphQLRequest, context: RequestContext, root: Any = None
    ) -> Answer:
        try:
            result = execute(
                self.schema,
                document,
                root_value=root,
                context_value=replace(context, meter=Meter.within(self._options), found={}),
                variable_values=request.variables,
                operation_name=request.operation_name,
                execution_context_class=MeteredExecution,
                is_awaitable=_nothing_is_awaitable,
                hide_suggestions=self._hide_suggestions,
            )
        except Outgrown as outgrown:
            return self.refusal(outgrown.refusal)
        errors = self._reporter.inside(result.errors or (), document)
        if not _was_begun(result):
            return self._refusal(errors)
        if errors:
            return Answer({"data": result.data, "errors": errors})
        return Answer({"data": result.data}, postponed=next(iter(context.postponed), None))


def _refuse_other_operations(kind: OperationType, may_change: bool) -> None:
    if kind is OperationType.SUBSCRIPTION:
        raise BadInput("Subscribe over the WebSocket at this address, with the protocol graphql-transport-ws.")
    if kind is OperationType.MUTATION and not may_change:
        raise MethodNotAllowed("Send a mutation with POST; GET is for queries.")


def _alone(document: DocumentNode, operation_name: str | None, nodes: tuple[FieldNode, ...]) -> DocumentNode:
    """The document with nothing but that field of the operation's root, and the fragments."""
    operation = get_operation_ast(document, operation_name)
    assert operation is not None
    reduced = OperationDefinitionNode(
        operation=operation.operation,
        name=operation.name,
        variable_definitions=operation.variable_definitions,
        directives=(),
        selection_set=SelectionSetNode(selections=nodes),
    )
    fragments = [each for each in document.definitions if isinstance(each, FragmentDefinitionNode)]
    return DocumentNode(definitions=(reduced, *fragments))


def _nothing_is_awaitable(_value: Any) -> bool:
    """Resolvers are synchronous; saying so spares graphql-core a look at every value."""
    return False


def _was_begun(result: ExecutionResult) -> bool:
    """Whether any field was executed: errors of the variables or of the operation's name bear no path."""
    return result.data is not None or all(error.path is not None for error in result.errors or ())
