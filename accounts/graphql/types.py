"""What the API shows of users and teams."""

from __future__ import annotations

import graphene
from graphql import GraphQLResolveInfo

from accounts import models
from accounts.roles import Role as RoleValue
from dtq_site.foundation.scalars import DateTime

Role = graphene.Enum.from_enum(RoleValue, description="The part that an account plays.")


class Team(graphene.ObjectType):
    """The tenant: its members see each other and their team's tasks and schedules."""

    id = graphene.ID(required=True)
    name = graphene.String(required=True)


class User(graphene.ObjectType):
    """An account of a person or a worker."""

    id = graphene.ID(required=True)
    username = graphene.String(required=True)
    email = graphene.String(description="Shown within the team and to admins.")
    name = graphene.String(required=True)
    role = graphene.Field(Role, required=True)
    team = graphene.Field(Team, required=True)
    is_active = graphene.Boolean(required=True)
    created_at = DateTime(required=True)

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

    access_token = graphene.String(required=True)
    refresh_token = graphene.String(required=True, description="Good for one use, which answers with the next one.")
    expires_in = graphene.Int(required=True, description="Seconds for which the access token is good.")
    user = graphene.Field(User, required=True)
