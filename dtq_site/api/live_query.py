"""A subscription that was checked and made ready: what it is interested in, and its selection of each event.

The field of the subscription's root has a `subscribe` function that answers with its interest, which a source of news
understands (see `hub.py`); its resolver gets the event.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from graphql import DocumentNode, ExecutionContext, GraphQLError, GraphQLSchema
from graphql.execution.collect_fields import collect_fields
from graphql.execution.execute import get_field_def
from graphql.execution.values import get_argument_values
from graphql.pyutils import Path

from dtq_site.api.context import RequestContext
from dtq_site.foundation.errors import BadInput


@dataclass(frozen=True, eq=False)
class LiveQuery:
    """One client's subscription. Those with the same `key` are shown the same of the same event.

    What it is shown is at the cost of `account`.
    """

    interest: Any
    key: tuple[Any, ...]
    account: Hashable
    show: Callable[[Any], dict[str, Any]]


class NotExecutable(Exception):
    """The variables or the operation's name do not fit the document."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        self.errors = errors
        super().__init__(f"{len(errors)} errors")


def interest_of(
    schema: GraphQLSchema,
    document: DocumentNode,
    variables: dict[str, Any],
    operation_name: str | None,
    context: RequestContext,
    *,
    hide_suggestions: bool,
) -> Any:
    """What the document's subscription is interested in; raises NotExecutable, or what its `subscribe` function raises."""
    execution = ExecutionContext.build(
        schema,
        document,
        context_value=context,
        raw_variable_values=variables,
        operation_name=operation_name,
        hide_suggestions=hide_suggestions,
    )
    if isinstance(execution, list):
        raise NotExecutable(execution)
    root, operation = schema.subscription_type, execution.operation
    fields = collect_fields(schema, execution.fragments, execution.variable_values, root, operation.selection_set)
    if len(fields) != 1:  # validation has seen to it, but for @skip and @include
        raise BadInput("A subscription selects exactly one field.")
    [(name, nodes)] = fields.items()
    field = get_field_def(schema, root, nodes[0])
    info = execution.build_resolve_info(field, nodes, root, Path(None, name, root.name))
    try:
        arguments = get_argument_values(field, nodes[0], execution.variable_values)
    except GraphQLError as error:
        raise NotExecutable([error]) from None
    return field.subscribe(None, info, **arguments)
