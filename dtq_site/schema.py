"""The GraphQL schema: what the apps bring, put side by side. `manage.py graphql_schema` prints it."""

import graphene

from accounts.graphql.mutations import AccountsMutation
from accounts.graphql.queries import AccountsQuery
from dtq_site.foundation.scalars import lenient_enums
from scheduling.graphql import task_fields as task_fields_of_schedules
from scheduling.graphql.mutations import SchedulingMutation
from scheduling.graphql.queries import SchedulingQuery
from tasks.graphql.mutations import TasksMutation
from tasks.graphql.queries import TasksQuery
from workers.graphql import task_fields as task_fields_of_workers
from workers.graphql.queries import WorkersQuery


class Query(TasksQuery, WorkersQuery, SchedulingQuery, AccountsQuery, graphene.ObjectType):
    """Reading. Nothing here changes anything."""


class Mutation(TasksMutation, SchedulingMutation, AccountsMutation, graphene.ObjectType):
    """Changing. The fields of one request run one after the other."""


task_fields_of_workers.register()
task_fields_of_schedules.register()
schema = graphene.Schema(query=Query, mutation=Mutation)
lenient_enums(schema, "TaskStatus", "MisfirePolicy", "OverlapPolicy")
