"""Who may do what: every operation of the schema, for every role, on what is the own team's and on what is another's.

A new operation needs a row in TABLE. A row says how to make what the operation is about, in a given team, and what each
caller gets, in the order of CALLERS: first on the own team's, then on another team's.

    yes   it is answered, and shows or changes what it is about
    no    it is answered without what it is about
    401   UNAUTHENTICATED, nobody is signed in
    403   FORBIDDEN, the role does not allow it
    404   NOT_FOUND, there is none, or none that the caller may see

Every answer is asked for with every field of every type in it. Whoever may see a thing sees all of it, but for HIDDEN.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.apps import apps
from pytest_django import Settings
from redis import Redis

from accounts import registration
from accounts.identity import Identity
from dtq_site.api.context import RequestContext
from dtq_site.api.engine import Answer, GraphQLRequest
from dtq_site.endpoint import engine
from dtq_site.foundation.database import database_clock
from tasks import lifecycle, submission
from tasks.domain.submission import Request
from tasks.news import QueueInterest, QueueSource, TaskInterest, TaskSource
from tasks.submission import Owner
from tests.integration.graphql.documents import document, object_types, operations, selected_types
from tests.integration.graphql.making import finish, make_task
from tests.integration.graphql.subjects import (
    NEW_SCHEDULE,
    NEW_TASK,
    NEW_WEBHOOK,
    PASSWORD,
    Made,
    Make,
    a_cancelled_task,
    a_dead_letter,
    a_held_task,
    a_login,
    a_member,
    a_message_to_send_again,
    a_paused_schedule,
    a_queue,
    a_queue_and,
    a_refresh_token,
    a_schedule,
    a_webhook,
    a_webhook_that_was_told,
    a_worker,
    a_worker_token,
    about,
    among,
    among_queues,
    anyhow,
    body_of,
    data_of,
    for_an_account_of_a_worker,
    make_caller,
    of_a_worker,
    one_of_many,
    one_task,
    the_caller,
    with_a_lease,
)
from workers.news import WorkerInterest, WorkerSource

pytestmark = pytest.mark.django_db

CALLERS = ("anonymous", "viewer", "user", "worker", "admin")
CODES = {"UNAUTHENTICATED": "401", "FORBIDDEN": "403", "NOT_FOUND": "404"}
OWN, OTHER = "red", "blue"

HIDDEN = {"user.email"}
"""What of a task of the own team is only for admins when it was made by somebody of another team."""

SOURCES = {TaskInterest: TaskSource, QueueInterest: QueueSource, WorkerInterest: WorkerSource}


@dataclass(frozen=True)
class Row:
    """How to make what an operation is about, and what each caller gets."""

    make: Make
    own: str
    other: str
    shows: Callable[[Any, str | None], bool] = lambda answer, sign: sign is None or sign in json.dumps(answer)


ADMIN = "401 403 403 403 yes"
MEMBER = "401 403 yes  403 yes"
PUBLIC = "yes yes yes yes yes"
READER = "401 yes yes 403 yes"
SIGNED_IN = "401 yes yes yes yes"
WORKER = "401 403 403 yes yes"
NOT_ITS_WORKER = "401 403 403 404 404"

TABLE = {
    # operation                   what it is about                     own team               another team
    "Query.me": Row(the_caller, SIGNED_IN, SIGNED_IN),
    "Query.users": Row(among(a_member), ADMIN, ADMIN),
    "Query.teams": Row(among(registration.team_named), ADMIN, ADMIN),
    "Query.task": Row(about(make_task), "401 yes yes 404 yes", "401 404 404 404 yes"),
    "Query.tasks": Row(among(make_task, limit=5), "401 yes yes no  yes", "401 no  no  no  yes"),
    "Query.taskStats": Row(
        one_task, READER, "401 no  no  403 yes", shows=lambda answer, sign: answer["total"] == answer["queued"] == 1
    ),
    "Query.tasksConnection": Row(among(make_task, first=5), "401 yes yes no  yes", "401 no  no  no  yes"),
    "Query.explain": Row(
        about(make_task),
        "401 yes yes 404 yes",
        "401 404 404 404 yes",
        shows=lambda answer, sign: answer["sentence"] != "",
    ),
    "Query.health": Row(anyhow(), PUBLIC, PUBLIC),
    "Query.queue": Row(a_queue, READER, READER),
    "Query.queues": Row(among_queues, READER, READER),
    "Query.handlerLimits": Row(anyhow(), READER, READER),
    "Query.worker": Row(about(a_worker), READER, "401 404 404 403 yes"),
    "Query.workers": Row(among(a_worker), READER, "401 no  no  403 yes"),
    "Query.schedule": Row(about(a_schedule), READER, "401 404 404 403 yes"),
    "Query.schedules": Row(among(a_schedule), READER, "401 no  no  403 yes"),
    "Query.history": Row(anyhow(seconds=3600), READER, READER),
    "Query.deadLetterGroups": Row(
        a_dead_letter,
        READER,
        "401 no  no  403 yes",
        shows=lambda answer, sign: [each["count"] for each in answer] == [1],
    ),
    "Query.previewSchedule": Row(anyhow(cronExpression="@daily"), READER, READER),
    "Mutation.register": Row(anyhow(input={"email": "new@example.com", "password": PASSWORD}), PUBLIC, PUBLIC),
    "Mutation.login": Row(a_login, PUBLIC, PUBLIC),
    "Mutation.refreshToken": Row(a_refresh_token, PUBLIC, PUBLIC),
    "Mutation.logout": Row(anyhow(), SIGNED_IN, SIGNED_IN),
    "Mutation.changePassword": Row(anyhow(current=PASSWORD, new="another fine day"), SIGNED_IN, SIGNED_IN),
    "Mutation.createUser": Row(anyhow(input={"email": "new@example.com"}), ADMIN, ADMIN),
    "Mutation.updateUser": Row(about(a_member, input={"name": "Ann"}), ADMIN, ADMIN),
    "Mutation.deactivateUser": Row(about(a_member), ADMIN, ADMIN),
    "Mutation.activateUser": Row(about(a_member), ADMIN, ADMIN),
    "Mutation.setPassword": Row(about(a_member, password="another fine day"), ADMIN, ADMIN),
    "Mutation.endSessions": Row(about(a_member), ADMIN, ADMIN),
    "Mutation.createTeam": Row(anyhow(input={"name": "new"}), ADMIN, ADMIN),
    "Mutation.updateTeam": Row(about(registration.team_named, input={"name": "new"}), ADMIN, ADMIN),
    "Mutation.createTask": Row(anyhow(input=NEW_TASK), MEMBER, MEMBER),
    "Mutation.createWorkflow": Row(anyhow(tasks=[{"key": "only", **NEW_TASK}]), MEMBER, MEMBER),
    "Mutation.createTasks": Row(anyhow(inputs=[NEW_TASK]), MEMBER, MEMBER),
    "Mutation.updateTask": Row(about(make_task, input={"title": "New"}), MEMBER, "401 403 404 403 yes"),
    "Mutation.cancelTask": Row(about(make_task), MEMBER, "401 403 404 403 yes"),
    "Mutation.retryTask": Row(about(a_cancelled_task), MEMBER, "401 403 404 403 yes"),
    "Mutation.reassignTask": Row(about(a_held_task), MEMBER, "401 403 404 403 yes"),
    "Mutation.deleteTask": Row(about(lambda team: finish(make_task(team))), ADMIN, ADMIN),
    "Mutation.cancelTasks": Row(
        one_of_many(make_task), MEMBER, "401 403 no  403 yes", shows=lambda answer, sign: answer["count"] == 1
    ),
    "Mutation.retryTasks": Row(
        one_of_many(a_cancelled_task), MEMBER, "401 403 no  403 yes", shows=lambda answer, sign: answer["count"] == 1
    ),
    "Mutation.pauseQueue": Row(a_queue, ADMIN, ADMIN),
    "Mutation.resumeQueue": Row(a_queue, ADMIN, ADMIN),
    "Mutation.updateQueue": Row(a_queue_and(input={"weight": 3}), ADMIN, ADMIN),
    "Mutation.updateHandlerLimits": Row(anyhow(name="send", input={"rateLimit": "1/s"}), ADMIN, ADMIN),
    "Mutation.createSchedule": Row(anyhow(input=NEW_SCHEDULE), MEMBER, MEMBER),
    "Mutation.updateSchedule": Row(about(a_schedule, input={"priority": 7}), MEMBER, "401 403 404 403 yes"),
    "Mutation.runScheduleNow": Row(about(a_schedule), MEMBER, "401 403 404 403 yes"),
    "Mutation.pauseSchedule": Row(about(a_schedule), MEMBER, "401 403 404 403 yes"),
    "Mutation.resumeSchedule": Row(about(a_paused_schedule), MEMBER, "401 403 404 403 yes"),
    "Mutation.deleteSchedule": Row(about(a_schedule), MEMBER, "401 403 404 403 yes"),
    "Query.webhook": Row(about(a_webhook), MEMBER, "401 403 404 403 yes"),
    "Query.webhooks": Row(among(a_webhook), MEMBER, "401 403 no  403 yes"),
    "Query.webhookDeliveries": Row(a_webhook_that_was_told, MEMBER, "401 403 404 403 yes"),
    "Mutation.createWebhook": Row(
        anyhow(input=NEW_WEBHOOK), MEMBER, MEMBER, shows=lambda answer, sign: answer["secret"].startswith("whsec_")
    ),
    "Mutation.updateWebhook": Row(about(a_webhook, input={"active": False}), MEMBER, "401 403 404 403 yes"),
    "Mutation.rotateWebhookSecret": Row(about(a_webhook), MEMBER, "401 403 404 403 yes"),
    "Mutation.deleteWebhook": Row(about(a_webhook), MEMBER, "401 403 404 403 yes"),
    "Mutation.testWebhook": Row(about(a_webhook), MEMBER, "401 403 404 403 yes"),
    "Mutation.redeliverWebhook": Row(a_message_to_send_again, MEMBER, "401 403 404 403 yes"),
    "Query.workerTokens": Row(among(a_worker_token), ADMIN, ADMIN),
    "Mutation.issueWorkerToken": Row(for_an_account_of_a_worker, ADMIN, ADMIN),
    "Mutation.rotateWorkerToken": Row(
        about(a_worker_token), ADMIN, ADMIN, shows=lambda answer, sign: "secret" in answer
    ),
    "Mutation.revokeWorkerToken": Row(about(a_worker_token), ADMIN, ADMIN),
    "Query.parentResults": Row(with_a_lease("lease"), WORKER, NOT_ITS_WORKER, shows=lambda answer, sign: answer == {}),
    "Mutation.registerWorker": Row(anyhow(input={"handlers": ["send-email"]}), WORKER, WORKER),
    "Mutation.heartbeat": Row(of_a_worker(), WORKER, NOT_ITS_WORKER),
    "Mutation.claimTasks": Row(of_a_worker(claimId=str(uuid4()), limit=5), WORKER, NOT_ITS_WORKER),
    "Mutation.beginTasks": Row(with_a_lease("leases"), WORKER, NOT_ITS_WORKER),
    "Mutation.renewLeases": Row(with_a_lease("leases"), WORKER, NOT_ITS_WORKER),
    "Mutation.recordProgress": Row(
        with_a_lease("records", attempt=1, logs=[{"sequence": 1, "message": "half"}]),
        WORKER,
        NOT_ITS_WORKER,
        shows=lambda answer, sign: answer == 1,
    ),
    "Mutation.reportOutcomes": Row(with_a_lease("outcomes", kind="COMPLETED"), WORKER, NOT_ITS_WORKER),
    "Mutation.releaseTasks": Row(
        with_a_lease("leases"), WORKER, NOT_ITS_WORKER, shows=lambda answer, sign: answer == 1
    ),
    "Mutation.forfeitTasks": Row(
        with_a_lease("leases"), WORKER, NOT_ITS_WORKER, shows=lambda answer, sign: answer == 1
    ),
    "Mutation.enqueueTasks": Row(
        with_a_lease("parent", inputs=[{**NEW_TASK, "idempotencyKey": "once"}]), WORKER, NOT_ITS_WORKER
    ),
    "Mutation.takeLock": Row(with_a_lease("lease", name="prices"), WORKER, NOT_ITS_WORKER),
    "Mutation.freeLock": Row(
        with_a_lease("lease", name="prices"), WORKER, NOT_ITS_WORKER, shows=lambda answer, sign: answer is False
    ),
    "Subscription.taskCreated": Row(among(make_task), READER, "401 no  no  403 yes"),
    "Subscription.taskStatusChanged": Row(about(make_task), READER, "401 404 404 403 yes"),
    "Subscription.taskUpdated": Row(about(make_task, since=0), READER, "401 404 404 403 yes"),
    "Subscription.queueStats": Row(among_queues, READER, READER),
    "Subscription.workerStatusChanged": Row(among(a_worker), READER, "401 no  no  403 yes"),
}


def outcome(row: Row, made: Made, body: dict[str, Any]) -> str:
    """What the caller got, in one word."""
    if "errors" in body:
        code = body["errors"][0]["extensions"]["code"]
        return CODES.get(code, str(body["errors"]))
    return "yes" if row.shows(body["data"]["answer"], made.sign) else "no"


def rows_of_all_tables() -> dict[str, list[dict[str, Any]]]:
    return {model._meta.label: list(model._base_manager.order_by("pk").values()) for model in apps.get_models()}


@pytest.fixture(autouse=True)
def fast_and_uncounted(settings: Settings, redis_server: Redis) -> None:
    """Hash in microseconds, and forget the attempts of other tests."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def body_of_subscription(
    operation: str, row: Row, identity: Identity | None, team: str, made: Made
) -> tuple[dict[str, Any], Made]:
    """What a subscriber is shown, and what it is to be shown: what it names, else what comes into being after its start."""
    context = RequestContext(identity, None, "192.0.2.1", "test", database_clock, None)
    live = engine.open(GraphQLRequest(document(operation, made.arguments), made.arguments), context)
    if isinstance(live, Answer):
        return live.body, made
    source = SOURCES[type(live.interest)]()
    answers = []
    if "id" not in made.arguments:
        list(source.look([live.interest], None))
        made = row.make(team, identity)
    else:
        lifecycle.cancel(UUID(made.arguments["id"]), database_clock.now())
    for news in source.look([live.interest], missed_seconds=60.0):
        if live.interest in news.interests:
            answers.append(live.show(news.root)["data"]["answer"])
    return {"data": {"answer": answers}}, made


CASES = [
    pytest.param(operation, caller, team, expected, id=f"{operation}-{caller}-{team}")
    for operation, row in TABLE.items()
    for team, words in ((OWN, row.own), (OTHER, row.other))
    for caller, expected in zip(CALLERS, words.split(), strict=True)
]


@pytest.mark.parametrize(("operation", "caller", "team", "expected"), CASES)
def test_each_caller_gets_what_the_table_says(operation: str, caller: str, team: str, expected: str) -> None:
    row = TABLE[operation]
    identity = make_caller(caller, OWN)
    made = row.make(team, identity)
    before = rows_of_all_tables()

    if operation.startswith("Subscription."):
        body, made = body_of_subscription(operation, row, identity, team, made)
    else:
        body = body_of(operation, identity, made.arguments)

    assert outcome(row, made, body) == expected
    if expected in CODES.values() or operation.startswith("Query."):
        assert rows_of_all_tables() == before


def test_every_operation_of_the_schema_is_in_the_table() -> None:
    assert set(TABLE) == operations(), "give each new operation a row"


def test_every_type_of_the_schema_is_selected_by_some_operation_of_the_table() -> None:
    assert set().union(*map(selected_types, TABLE)) == object_types()


OF_EACH_ITS_OWN = {"Query.me", "Query.health", "Query.history", "Query.parentResults"}
"""What each caller is answered differently: who they are, at what moment, and about workers of their own."""


@pytest.mark.parametrize(
    "operation", [name for name in TABLE if name.startswith("Query.") and name not in OF_EACH_ITS_OWN]
)
def test_whoever_may_see_a_thing_sees_all_of_it(operation: str) -> None:
    row = TABLE[operation]
    callers = [make_caller(caller, OWN) for caller, word in zip(CALLERS, row.own.split(), strict=True) if word == "yes"]
    made = row.make(OWN, callers[-1])

    answers = [body_of(operation, caller, made.arguments)["data"] for caller in callers]

    assert answers == [answers[-1]] * len(answers)


def test_of_somebody_of_another_team_the_address_alone_is_hidden() -> None:
    request, team = Request(**NEW_TASK), registration.team_named(OWN)
    task = submission.submit_one(request, Owner(team.pk, a_member(OTHER).pk))
    arguments = {"id": str(task.pk)}

    seen, whole = (data_of("Query.task", make_caller(caller, OWN), **arguments) for caller in ("viewer", "admin"))

    assert set(differences(seen, whole)) == HIDDEN
    assert seen["user"]["email"] is None


def differences(seen: Any, whole: Any, path: str = "") -> Iterator[str]:
    if isinstance(seen, dict) and isinstance(whole, dict):
        for key in seen:
            yield from differences(seen[key], whole[key], f"{path}.{key}" if path else key)
    elif seen != whole:
        yield path
