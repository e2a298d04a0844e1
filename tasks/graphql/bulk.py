"""Cancelling and retrying all tasks that meet a filter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import graphene
from graphql import GraphQLResolveInfo

from accounts.graphql.arguments import fields_of
from accounts.permissions import requires
from accounts.roles import Role
from dtq_site.foundation.errors import BadInput
from tasks import bulk, changes, selectors
from tasks.bulk import CHUNK, BulkVerb
from tasks.graphql.inputs import TaskFilter, read_filter


class BulkResult(graphene.ObjectType):
    """What a request that concerns many tasks comes to."""

    count = graphene.Int(required=True, description="How many tasks match.")
    done = graphene.Int(
        required=True, description="How many of them are done already; the scheduler does the others, in a while."
    )


def _field(what: str) -> graphene.Field:
    return graphene.Field(
        BulkResult,
        required=True,
        filter=TaskFilter(required=True, description="Which tasks; text is looked for in all of them."),
        dry_run=graphene.Boolean(default_value=False, description="Whether to count only, and change nothing."),
        all=graphene.Boolean(default_value=False, description="Say so if an empty filter is meant: all tasks."),
        description=f"{what} Those of the team; for admins of all teams. Up to {CHUNK:,} are done at once, all or none; more "
        "by the scheduler, in the order of their creation, if they still match when it is their turn.",
    )


class BulkMutation(graphene.ObjectType):
    """The fields of Mutation that concern many tasks."""

    cancel_tasks = _field("Call off all tasks that have not ended and meet the filter.")
    retry_tasks = _field("Run all FAILED, DEAD_LETTER and CANCELLED tasks again, now, that meet the filter.")

    @staticmethod
    @requires(Role.USER)
    def resolve_cancel_tasks(root: None, info: GraphQLResolveInfo, **arguments: Any) -> bulk.Answer:
        """Cancel them, or count them."""
        return _perform(BulkVerb.CANCEL, info, **arguments)

    @staticmethod
    @requires(Role.USER)
    def resolve_retry_tasks(root: None, info: GraphQLResolveInfo, **arguments: Any) -> bulk.Answer:
        """Retry them, or count them."""
        return _perform(BulkVerb.RETRY, info, **arguments)


def _perform(
    verb: BulkVerb,
    info: GraphQLResolveInfo,
    filter: Mapping[str, Any],
    dry_run: bool | None = None,
    all: bool | None = None,
) -> bulk.Answer:
    with fields_of("filter"):
        wanted = read_filter(filter)
        if wanted.is_empty and not all:
            raise BadInput("An empty filter means every task: name a condition, or say all: true.")
    identity, now = info.context.identity, info.context.clock.now()
    wanted = selectors.confined(wanted, identity)
    if dry_run:
        return bulk.Answer(bulk.count(verb, wanted, now), 0)
    return changes.request_bulk(verb, wanted, identity, now)
