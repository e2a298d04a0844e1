"""A schema of our own for the edge: one enum, the shared scalars, inputs, and resolvers that fail in every way."""

from __future__ import annotations

import enum
from typing import Any

import graphene
from django.db import OperationalError
from redis import Redis

from dtq_site.api.context import RequestContext
from dtq_site.api.engine import Engine
from dtq_site.api.errors import ErrorReporter
from dtq_site.api.options import ApiOptions
from dtq_site.api.rate_limits import RateLimits
from dtq_site.foundation.clock import DatabaseClock, host_now
from dtq_site.foundation.errors import BadInput, Conflict, DTQError
from dtq_site.foundation.faults import Faults
from dtq_site.foundation.observer import Observer, Recorder
from dtq_site.foundation.scalars import JSON, DateTime, lenient_enums
from tasks.graphql.scalars import Priority


class Status(enum.Enum):
    """The enum that is made lenient."""

    PENDING = "pending"
    DEAD_LETTER = "dead_letter"


TaskStatus = graphene.Enum.from_enum(Status, name="TaskStatus")
Strict = graphene.Enum("Strict", [("ON", 1), ("OFF", 0)])


class TaskInput(graphene.InputObjectType):
    """An input object with one field of each kind."""

    name = graphene.String(required=True)
    priority = Priority()
    payload = JSON()
    at = DateTime()
    status = TaskStatus()


class Node(graphene.ObjectType):
    """Something that contains itself, for depth."""

    value = graphene.Int()
    node = graphene.Field(lambda: Node)

    @staticmethod
    def resolve_node(root: Any, info: Any) -> Any:
        """Itself again."""
        return root


def _raising(error: Exception) -> Any:
    def resolve(root: Any, info: Any) -> Any:
        raise error

    return resolve


class Query(graphene.ObjectType):
    """Echoes what arrived, as the repr of the Python value."""

    echo = graphene.String(
        text=graphene.String(),
        number=graphene.Int(),
        status=TaskStatus(),
        statuses=graphene.List(graphene.NonNull(TaskStatus)),
        strict=Strict(),
        priority=Priority(),
        payload=JSON(),
        at=DateTime(),
        input=TaskInput(),
        inputs=graphene.List(graphene.NonNull(TaskInput)),
    )
    must = graphene.String(text=graphene.String(required=True))
    node = graphene.Field(Node)
    json = graphene.Field(JSON, value=JSON())
    at = graphene.Field(DateTime, value=DateTime())
    who = graphene.String()
    conflict = graphene.String(resolver=_raising(Conflict("It runs already.", field="id", state="PROCESSING")))
    refused = graphene.String(resolver=_raising(BadInput("Too far.", field="at").within("inputs[3]")))
    broken = graphene.String(resolver=_raising(KeyError("secret")))
    bare = graphene.String(resolver=_raising(DTQError("an inner matter")))
    away = graphene.String(resolver=_raising(OperationalError(2006, "Server has gone away")))
    locked = graphene.String(resolver=_raising(OperationalError("database is locked")))
    needed = graphene.String(required=True, resolver=lambda root, info: None)
    too_large = graphene.Int(resolver=lambda root, info: 2**40)
    not_json = graphene.Field(JSON, resolver=lambda root, info: float("nan"))

    @staticmethod
    def resolve_echo(root: Any, info: Any, **arguments: Any) -> str:
        """Say what came in."""
        return repr(arguments)

    @staticmethod
    def resolve_must(root: Any, info: Any, text: str) -> str:
        """Say what came in."""
        return text

    @staticmethod
    def resolve_node(root: Any, info: Any) -> dict[str, int]:
        """A node."""
        return {"value": 1}

    @staticmethod
    def resolve_json(root: Any, info: Any, value: Any = None) -> Any:
        """Give it back."""
        return value

    @staticmethod
    def resolve_at(root: Any, info: Any, value: Any = None) -> Any:
        """Give it back."""
        return value

    @staticmethod
    def resolve_who(root: Any, info: Any) -> str:
        """Say where the request came from."""
        return f"{info.context.address} {info.context.request_id}"


class Mutation(graphene.ObjectType):
    """Changes a list that the test holds."""

    change = graphene.Int()

    @staticmethod
    def resolve_change(root: Any, info: Any) -> int:
        """Count the calls."""
        changes.append(1)
        return len(changes)


class Subscription(graphene.ObjectType):
    """There, and refused over HTTP."""

    ticks = graphene.Int(strict=Strict())

    @staticmethod
    def subscribe_ticks(root: Any, info: Any, **arguments: Any) -> object:
        """An interest that nobody serves."""
        return object()


changes: list[int] = []
schema = graphene.Schema(query=Query, mutation=Mutation, subscription=Subscription).graphql_schema
lenient_enums(schema, "TaskStatus")

UNLIMITED = RateLimits(Redis(), rate=0, burst=1)
CONTEXT = RequestContext(None, None, "192.0.2.1", "request-1", DatabaseClock(host_now), None)


def make_engine(**limits: int) -> tuple[Engine, Recorder]:
    """An engine over the small schema, whose errors get the id "error-id", and the recorder of its events."""
    recorder = Recorder()
    reporter = ErrorReporter(Faults(Observer(recorder), lambda: "error-id"))
    return Engine(schema, ApiOptions(**limits), reporter, UNLIMITED), recorder
