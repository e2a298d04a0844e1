"""The GraphQL schema: what the apps bring, put side by side. `manage.py graphql_schema` prints it."""

import graphene

from accounts.graphql.mutations import AccountsMutation
from accounts.graphql.queries import AccountsQuery
from accounts.graphql.worker_tokens import WorkerTokensMutation, WorkerTokensQuery
from dtq_site.foundation.scalars import lenient_enums
from dtq_site.health_query import HealthQuery
from scheduling.graphql import task_fields as task_fields_of_schedules
from scheduling.graphql.history import HistoryQuery
from scheduling.graphql.mutations import SchedulingMutation
from scheduling.graphql.queries import SchedulingQuery
from tasks.graphql import failures
from tasks.graphql.failures import FailuresQuery
from tasks.graphql.mutations import TasksMutation
from tasks.graphql.queries import TasksQuery
from tasks.graphql.subscriptions import TasksSubscription
from tasks.graphql.webhooks import WebhooksMutation, WebhooksQuery
from workers.graphql import task_fields as task_fields_of_workers
from workers.graphql.mutations import WorkersMutation
from workers.graphql.queries import WorkersQuery
from workers.graphql.subscriptions import WorkersSubscription


class Query(
    TasksQuery,
    FailuresQuery,
    WebhooksQuery,
    WorkersQuery,
    SchedulingQuery,
    HistoryQuery,
    AccountsQuery,
    WorkerTokensQuery,
    HealthQuery,
    graphene.ObjectType,
):
    """Reading. Nothing here changes anything."""


class Mutation(
    TasksMutation,
    WebhooksMutation,
    SchedulingMutation,
    WorkersMutation,
    AccountsMutation,
    WorkerTokensMutation,
    graphene.ObjectType,
):
    """Changing. The fields of one request run one after the other."""


class Subscription(TasksSubscription, WorkersSubscription, graphene.ObjectType):
    """Following, over the WebSocket at the same address. No commit after its start is missed."""


failures.register()
task_fields_of_workers.register()
task_fields_of_schedules.register()
schema = graphene.Schema(query=Query, mutation=Mutation, subscription=Subscription)
lenient_enums(schema)
