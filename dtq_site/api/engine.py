"""Runs one GraphQL request against the schema, on the thread that calls; HTTP and WebSocket end here."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from graphql import DocumentNode, ExecutionResult, GraphQLSchema, OperationType, execute, get_operation_ast

from dtq_site.api.context import RequestContext
from dtq_site.api.documents import Documents, InvalidDocument
from dtq_site.api.errors import ErrorReporter, MethodNotAllowed
from dtq_site.api.live_query import LiveQuery, NotExecutable, interest_of
from dtq_site.api.options import ApiOptions
from dtq_site.foundation.errors import BadInput


@dataclass(frozen=True)
class GraphQLRequest:
    """One operation to run: a document, its variables as JSON has them, and the operation's name if there are more."""

    query: str
    variables: dict[str, Any] = field(default_factory=dict)
    operation_name: str | None = None


@dataclass(frozen=True)
class Answer:
    """The body of the answer. `refused` has the code of the first error if nothing was executed."""

    body: dict[str, Any]
    refused: str | None = None


class Engine:
    """Executes requests against one schema."""

    def __init__(self, schema: GraphQLSchema, options: ApiOptions, reporter: ErrorReporter) -> None:
        self._schema = schema
        self._documents = Documents(schema, options)
        self._reporter = reporter

    def answer(self, request: GraphQLRequest, context: RequestContext, *, may_change: bool = True) -> Answer:
        """Run `request`; without `may_change` a mutation is refused. Never raises."""

        def run(document: DocumentNode) -> Answer:
            self._refuse_other_operations(document, request, may_change)
            return self._executed(document, request, context)

        return self._guarded(request, run)

    def open(self, request: GraphQLRequest, context: RequestContext) -> Answer | LiveQuery:
        """Run `request`, or make it ready if it is a subscription. Never raises."""

        def run(document: DocumentNode) -> Answer | LiveQuery:
            if _kind(document, request) is OperationType.SUBSCRIPTION:
                return self._live_query(document, request, context)
            return self._executed(document, request, context)

        return self._guarded(request, run)

    def _guarded(self, request: GraphQLRequest, run: Callable[[DocumentNode], Any]) -> Any:
        document = None
        try:
            document = self._documents.get(request.query)
            return run(document)
        except InvalidDocument as invalid:
            return self._refusal([self._reporter.inside(error, invalid.document) for error in invalid.errors])
        except NotExecutable as unfit:
            return self._refusal([self._reporter.inside(error, document) for error in unfit.errors])
        except Exception as error:
            return self.refusal(error)

    def refusal(self, error: Exception) -> Answer:
        """The answer to a request that could not be run because of `error`."""
        return self._refusal([self._reporter.outside(error)])

    def _refusal(self, errors: list[dict[str, Any]]) -> Answer:
        return Answer({"errors": errors}, refused=errors[0]["extensions"]["code"])

    @staticmethod
    def _refuse_other_operations(document: DocumentNode, request: GraphQLRequest, may_change: bool) -> None:
        kind = _kind(document, request)
        if kind is OperationType.SUBSCRIPTION:
            raise BadInput("Subscribe over the WebSocket at this address, with the protocol graphql-transport-ws.")
        if kind is OperationType.MUTATION and not may_change:
            raise MethodNotAllowed("Send a mutation with POST; GET is for queries.")

    def _live_query(self, document: DocumentNode, request: GraphQLRequest, context: RequestContext) -> LiveQuery:
        interest = interest_of(self._schema, document, request.variables, request.operation_name, context)
        variables = json.dumps(request.variables, sort_keys=True)
        # What hangs on an event depends on nothing of a caller but role and team.
        caller = (context.identity.role, context.identity.team_id) if context.identity else None
        return LiveQuery(
            interest,
            (request.query, request.operation_name, variables, caller),
            lambda event: self._executed(document, request, context, event).body,
        )

    def _executed(
        self, document: DocumentNode, request: GraphQLRequest, context: RequestContext, root: Any = None
    ) -> Answer:
        result = execute(
            self._schema,
            document,
            root_value=root,
            context_value=context,
            variable_values=request.variables,
            operation_name=request.operation_name,
            is_awaitable=_nothing_is_awaitable,
        )
        errors = [self._reporter.inside(error, document) for error in result.errors or ()]
        if not _was_begun(result):
            return self._refusal(errors)
        return Answer({"data": result.data, **({"errors": errors} if errors else {})})


def _kind(document: DocumentNode, request: GraphQLRequest) -> OperationType:
    operation = get_operation_ast(document, request.operation_name)
    return operation.operation if operation else OperationType.QUERY  # what names no operation fails in `execute`


def _nothing_is_awaitable(_value: Any) -> bool:
    """Resolvers are synchronous; saying so spares graphql-core a look at every value."""
    return False


def _was_begun(result: ExecutionResult) -> bool:
    """Whether any field was executed: errors of the variables or of the operation's name bear no path."""
    return result.data is not None or all(error.path is not None for error in result.errors or ())
