"""What the API shows of users and teams."""

from __future__ import annotations

import graphene
from graphql import GraphQLResolveInfo

from accounts import models
from accounts.roles import Role as RoleValue
from dtq_site.foundation.scalars import DateTime

Role = graphene.Enum.from_enum(
    RoleValue, description="The part that an account plays. As an argument it may be written in any case, and as text."
)


class Team(graphene.ObjectType):
    """The tenant: its members see each other and their team's tasks and schedules."""

    id = graphene.ID(required=True, description="The team's id, a UUID.")
    name = graphene.String(required=True, description="The team's name.")
    created_at = DateTime(required=True, description="When it was made.")


class User(graphene.ObjectType):
    """An account of a person or a worker."""

    id = graphene.ID(required=True, description="The account's id, a UUID.")
    username = graphene.String(required=True, description="The name to sign in with.")
    email = graphene.String(description="Shown within the team and to admins.")
    name = graphene.String(required=True, description="The name for people; may be empty.")
    role = graphene.Field(Role, required=True, description="What the account may do.")
    team = graphene.Field(Team, required=True, description="The team that it belongs to.")
    is_active = graphene.Boolean(required=True, description="Whether it can sign in.")
    created_at = DateTime(required=True, description="When it was made.")

    @staticmethod
    def resolve_email(user: models.User, info: GraphQLResolveInfo) -> str | None:
        """The address, or None where the caller is of another team."""
        caller = info.context.identity
        # Who signs in sees their own account, also when the request bears an older token of somebody else's.
        if info.path.prev is not None and info.path.prev.typename == AuthPayload._meta.name:
            return user.email
        return user.email if caller is not None and (caller.is_admin or caller.team_id == user.team_id) else None


class AuthPayload(graphene.ObjectType):
    """A session that has begun or goes on, and its tokens."""

    access_token = graphene.String(
        required=True, description="Sent with each request: `Authorization: Bearer <access token>`."
    )
    refresh_token = graphene.String(required=True, description="Good for one use, which answers with the next one.")
    expires_in = graphene.Int(required=True, description="Seconds for which the access token is good.")
    user = graphene.Field(User, required=True, description="Who is signed in.")
