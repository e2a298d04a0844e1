"""Reading accounts."""

from __future__ import annotations

import graphene
from django.db.models import QuerySet
from graphql import GraphQLResolveInfo

from accounts import models
from accounts.graphql.types import User
from accounts.permissions import requires
from accounts.roles import Role


class AccountsQuery(graphene.ObjectType):
    """The fields of Query that accounts answer."""

    me = graphene.Field(User, description="The account that sends the request.")
    users = graphene.List(graphene.NonNull(User), required=True, description="All accounts, by user name; for admins.")

    @staticmethod
    @requires(*Role)
    def resolve_me(root: None, info: GraphQLResolveInfo) -> models.User | None:
        """The caller's row."""
        return models.User.objects.select_related("team").filter(id=info.context.identity.user_id).first()

    @staticmethod
    @requires()
    def resolve_users(root: None, info: GraphQLResolveInfo) -> QuerySet[models.User]:
        """Every row, with its team in the same query."""
        return models.User.objects.select_related("team")
