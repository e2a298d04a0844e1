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
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from accounts import registration
from tests.integration.graphql.making import finish, make_task
from tests.integration.graphql.subjects import (
    NEW_SCHEDULE,
    NEW_TASK,
    NEW_WEBHOOK,
    PASSWORD,
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
    for_an_account_of_a_worker,
    of_a_worker,
    one_of_many,
    one_task,
    the_caller,
    with_a_lease,
)

CALLERS = ("anonymous", "viewer", "user", "worker", "admin")

HIDDEN = {"user.email"}
"""What of a task of the own team is only for admins when it was made by somebody of another team."""


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

OF_EACH_ITS_OWN = {"Query.me", "Query.health", "Query.history", "Query.parentResults"}
"""What each caller is answered differently: who they are, at what moment, and about workers of their own."""
