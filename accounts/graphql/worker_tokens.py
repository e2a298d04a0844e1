"""Worker tokens, for admins."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import graphene
from graphql import GraphQLResolveInfo

from accounts import models, selectors, worker_tokens
from accounts.graphql.arguments import PAGE, fields_of, read_id, read_page
from accounts.graphql.types import User
from accounts.permissions import requires
from dtq_site.foundation.errors import NotFound
from dtq_site.foundation.ids import parse_uuid
from dtq_site.foundation.scalars import DateTime

TOKEN_ID = graphene.ID(required=True, description="The token's id.")
USUAL_OVERLAP_SECONDS = 86_400


class WorkerToken(graphene.ObjectType):
    """A worker's key to the operations for workers. Its text is shown once, when it is issued."""

    id = graphene.ID(required=True, description="The token's id, a UUID; it opens nothing.")
    name = graphene.String(required=True, description="What it is called.")
    account = graphene.Field(User, required=True, description="Whose rights it has.")
    queues = graphene.List(
        graphene.NonNull(graphene.String),
        required=True,
        description="The queues that it may serve; none is all of them.",
    )
    issued_at = DateTime(required=True, description="When it was issued.")
    expires_at = DateTime(required=True, description="Until when it is good.")
    revoked_at = DateTime(description="When it was revoked, if it was.")
    last_used_at = DateTime(description="When it was used last, to the minute.")


class IssuedWorkerToken(graphene.ObjectType):
    """A new worker token."""

    token = graphene.Field(WorkerToken, required=True, description="What is kept of it.")
    secret = graphene.String(
        required=True, description="Its text, for `Authorization: Bearer <secret>`; nobody can be shown it again."
    )


class IssueWorkerTokenInput(graphene.InputObjectType):
    """A new worker token."""

    account = graphene.ID(required=True, description="The account of role WORKER whose rights it is to have.")
    name = graphene.String(description="What to call it; the account's name, if left out.")
    queues = graphene.List(
        graphene.NonNull(graphene.String),
        description=f"The queues that it may serve, at most {worker_tokens.MOST_QUEUES}; all, if left out.",
    )
    expires_at = DateTime(description="Until when it is good; 90 days by default.")


class WorkerTokensQuery(graphene.ObjectType):
    """The fields of Query about worker tokens."""

    worker_tokens = graphene.List(
        graphene.NonNull(WorkerToken),
        required=True,
        **PAGE,
        description="All worker tokens, the newest first; for admins.",
    )

    @staticmethod
    @requires()
    def resolve_worker_tokens(
        root: None, info: GraphQLResolveInfo, limit: int | None = None, offset: int | None = None
    ) -> Sequence[models.WorkerToken]:
        """A page of them, with their accounts in the same query."""
        return worker_tokens.issued(*read_page(limit, offset))


class WorkerTokensMutation(graphene.ObjectType):
    """The fields of Mutation about worker tokens."""

    issue_worker_token = graphene.Field(
        IssuedWorkerToken,
        required=True,
        input=IssueWorkerTokenInput(required=True, description="For whom."),
        description="Make a worker token; for admins.",
    )
    rotate_worker_token = graphene.Field(
        IssuedWorkerToken,
        required=True,
        id=TOKEN_ID,
        overlap_seconds=graphene.Int(
            default_value=USUAL_OVERLAP_SECONDS, description="For how long the old token is good yet, at most 30 days."
        ),
        description="Make a token like that one to take its place; for admins.",
    )
    revoke_worker_token = graphene.Field(
        WorkerToken,
        required=True,
        id=TOKEN_ID,
        description="Refuse a worker token from now on, and give back to the line what its workers hold; for admins.",
    )

    @staticmethod
    @requires()
    def resolve_issue_worker_token(root: None, info: GraphQLResolveInfo, input: dict[str, Any]) -> worker_tokens.Issued:
        """Make it."""
        context = info.context
        with fields_of("input"):
            account = selectors.user(parse_uuid(input["account"]))
            if account is None:
                raise NotFound("There is no such account.", field="account")
            return worker_tokens.issue(
                account,
                name=input.get("name") or "",
                queues=input.get("queues") or (),
                expires_at=input.get("expires_at"),
                by=context.identity,
                clock=context.clock,
            )

    @staticmethod
    @requires()
    def resolve_rotate_worker_token(
        root: None, info: GraphQLResolveInfo, id: str, overlap_seconds: int | None = None
    ) -> worker_tokens.Issued:
        """Make the new one."""
        overlap = timedelta(seconds=USUAL_OVERLAP_SECONDS if overlap_seconds is None else overlap_seconds)
        return worker_tokens.rotate(read_id(id), overlap, info.context.identity, info.context.clock)

    @staticmethod
    @requires()
    def resolve_revoke_worker_token(root: None, info: GraphQLResolveInfo, id: str) -> models.WorkerToken:
        """Revoke it."""
        return worker_tokens.revoke(read_id(id), info.context.identity, info.context.clock)
