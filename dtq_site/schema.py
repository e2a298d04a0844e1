"""The GraphQL schema: what the apps bring, put side by side. `manage.py graphql_schema` prints it."""

import graphene

from accounts.graphql.mutations import AccountsMutation
from accounts.graphql.queries import AccountsQuery


class Query(AccountsQuery, graphene.ObjectType):
    """Reading. Nothing here changes anything."""


class Mutation(AccountsMutation, graphene.ObjectType):
    """Changing. The fields of one request run one after the other."""


schema = graphene.Schema(query=Query, mutation=Mutation)
