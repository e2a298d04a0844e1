"""Reading accounts."""

from __future__ import annotations

import graphene
from django.db.models import QuerySet
from graphql import GraphQLResolveInfo

from accounts import models, selectors
from accounts.graphql.arguments import PAGE, read_page
from accounts.graphql.types import Team, User
from accounts.permissions import requires
from accounts.roles import Role


class AccountsQuery(graphene.ObjectType):
    """The fields of Query that accounts answer."""

    me = graphene.Field(User, description="The account that sends the request.")
    users = graphene.List(
        graphene.NonNull(User), required=True, **PAGE, description="All accounts, by user name; for admins."
    )
    teams = graphene.List(graphene.NonNull(Team), required=True, **PAGE, description="All teams, by name; for admins.")

    @staticmethod
    @requires(*Role)
    def resolve_me(root: None, info: GraphQLResolveInfo) -> models.User | None:
        """The caller's row."""
        return selectors.user(info.context.identity.user_id)

    @staticmethod
    @requires()
    def resolve_users(
        root: None, info: GraphQLResolveInfo, limit: int | None = None, offset: int | None = None
    ) -> QuerySet[models.User]:
        """A page of them, with their teams in the same query."""
        return selectors.users(*read_page(limit, offset))

    @staticmethod
    @requires()
    def resolve_teams(
        root: None, info: GraphQLResolveInfo, limit: int | None = None, offset: int | None = None
    ) -> QuerySet[models.Team]:
        """A page of them."""
        return selectors.teams(*read_page(limit, offset))
