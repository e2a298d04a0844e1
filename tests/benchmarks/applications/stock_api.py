"""graphene-django's own view over Django's own way to insert a row: what the API of DTQ is measured against.

Its mutation makes the row of a task, with the columns that DTQ's has, and nothing around it: no account, no check, no
index, no event. It runs with DTQ's settings and middleware on the same server program.
"""

from __future__ import annotations

import functools
import os
from typing import Any
from uuid import UUID

import graphene
from django.conf import settings
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dtq_site.settings")
settings.ROOT_URLCONF = __name__
application = get_asgi_application()

from django.urls import path  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402
from graphene_django import DjangoObjectType  # noqa: E402
from graphene_django.views import GraphQLView  # noqa: E402

from accounts.models import Team  # noqa: E402
from dtq_site.foundation.database import database_clock, ids  # noqa: E402
from tasks import models  # noqa: E402
from tasks.domain.states import TaskStatus  # noqa: E402


class Task(DjangoObjectType):
    class Meta:
        model = models.Task
        fields = ("id", "name", "status")
        convert_choices_to_enum = False


class CreateTaskInput(graphene.InputObjectType):
    name = graphene.String(required=True)
    payload = graphene.JSONString()


class Query(graphene.ObjectType):
    ok = graphene.Boolean()


class Mutation(graphene.ObjectType):
    create_task = graphene.Field(Task, input=CreateTaskInput(required=True))

    @staticmethod
    def resolve_create_task(root: None, info: Any, input: CreateTaskInput) -> models.Task:
        now = database_clock.now()
        ready_ms = int(now.timestamp() * 1000)
        return models.Task.objects.create(
            id=ids.new(1)[0],
            team_id=_team_id(),
            name=input.name,
            title=input.name,
            payload=input.payload or {},
            queue="default",
            priority=5,
            max_retries=3,
            timeout_seconds=3600,
            status=TaskStatus.QUEUED,
            ready_ms=ready_ms,
            rank=ready_ms,
            created_at=now,
            updated_at=now,
            queued_at=now,
        )


@functools.cache
def _team_id() -> UUID:
    return Team.objects.values_list("id", flat=True)[0]


schema = graphene.Schema(query=Query, mutation=Mutation)
urlpatterns = [path("graphql", csrf_exempt(GraphQLView.as_view(schema=schema)))]
