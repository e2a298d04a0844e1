"""What operators say about the limits of handlers, in place of what these declare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import graphene
from graphql import GraphQLResolveInfo

from accounts.graphql.arguments import fields_of, read_text
from accounts.permissions import requires
from accounts.roles import Role
from tasks import changes, limits, models
from tasks.domain.submission import check_handler_name

_DECLARED = "null is what the handler declares"


class HandlerLimits(graphene.ObjectType):
    """What an operator has said about the limits of a handler, over all queues."""

    name = graphene.String(required=True, description="The handler's name.")
    rate_limit = graphene.String(
        description=f'How often its tasks start at most, such as "100/m"; "none" is no limit, {_DECLARED}.'
    )
    burst = graphene.Int(description=f"How many of them may start at once; {_DECLARED}.")
    concurrency_limit = graphene.Int(
        description=f"How many of its tasks run at a time at most; 0 is no limit, {_DECLARED}."
    )


class HandlerLimitsInput(graphene.InputObjectType):
    """The limits that a handler is to have; fields that are left out stay as they are."""

    rate_limit = graphene.String(
        description=f'How often its tasks start at most, such as "100/m"; "none" is no limit, {_DECLARED}.'
    )
    burst = graphene.Int(description=f"How many of them may start at once; {_DECLARED}.")
    concurrency_limit = graphene.Int(
        description=f"How many of its tasks run at a time at most; 0 is no limit, {_DECLARED}."
    )


class HandlerLimitsQuery(graphene.ObjectType):
    """The field of Query about limits of handlers."""

    handler_limits = graphene.List(
        graphene.NonNull(HandlerLimits),
        required=True,
        description="What operators have said about the limits of handlers, by name; the others have those that they declare.",
    )

    @staticmethod
    @requires(Role.VIEWER, Role.USER)
    def resolve_handler_limits(root: None, info: GraphQLResolveInfo) -> Sequence[models.HandlerLimits]:
        """Every row."""
        return limits.said_about_handlers()


class HandlerLimitsMutation(graphene.ObjectType):
    """The field of Mutation about limits of handlers."""

    update_handler_limits = graphene.Field(
        HandlerLimits,
        required=True,
        name=graphene.String(required=True, description="The handler's name; no worker need know it yet."),
        input=HandlerLimitsInput(required=True, description="What is to change."),
        description="Say how often the tasks of a handler may start and how many of them may run at a time; for admins. Workers "
        "follow within two seconds.",
    )

    @staticmethod
    @requires()
    def resolve_update_handler_limits(
        root: None, info: GraphQLResolveInfo, name: str, input: Mapping[str, Any]
    ) -> models.HandlerLimits:
        """Check the changes and write them."""
        name = check_handler_name(read_text(name, "name"))
        with fields_of("input"):
            return changes.configure_handler_limits(name, input, info.context.identity)
