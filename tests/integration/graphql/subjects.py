"""What the operations of the role matrix are about, and asking them: of nobody or of an account of any role."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from accounts import authentication, registration, worker_tokens
from accounts.identity import Identity
from accounts.models import User, WorkerToken
from accounts.roles import Role
from dtq_site.foundation.database import database_clock
from scheduling.models import Schedule
from tasks import lifecycle
from tasks.domain.lease import Lease
from tasks.domain.outcome import OutcomeKind
from tasks.models import Task, Webhook, WebhookDelivery
from tasks.webhooks import deliveries, subscriptions
from tests.integration.graphql.documents import document
from tests.integration.graphql.making import finish, make_task, make_worker, start
from tests.support.api import ask
from workers import remote
from workers.graphql.inputs import read_card
from workers.models import Worker

PASSWORD = "a fine day for sailing"
NEW_TASK = {"name": "send-email", "payload": {"email": "ann@example.com"}}
NEW_SCHEDULE = {"name": "daily-report", "cronExpression": "0 2 * * *"}
NEW_WEBHOOK = {"url": "https://shop.example/hooks", "events": ["TASK_FAILED"]}

Arguments = dict[str, Any]


@dataclass(frozen=True)
class Made:
    """What an operation is about: its arguments, and the text by which an answer shows it (None: any answer does)."""

    arguments: Arguments
    sign: str | None = None


Make = Callable[[str, Identity | None], Made]


def anyhow(**arguments: Any) -> Make:
    """Nothing needs to be there."""
    return lambda team, caller: Made(arguments)


def about(make: Callable[[str], Any], **others: Any) -> Make:
    """A thing of the team, which is the argument `id`."""

    def made(team: str, caller: Identity | None) -> Made:
        thing = str(make(team).pk)
        return Made({"id": thing, **others}, thing)

    return made


def among(make: Callable[[str], Any], **arguments: Any) -> Make:
    """A thing of the team, which may stand in a list."""
    return lambda team, caller: Made(arguments, str(make(team).pk))


def one_of_many(make: Callable[[str], Task]) -> Make:
    """A task of the team, which a filter finds."""

    def made(team: str, caller: Identity | None) -> Made:
        return Made({"filter": {"name": make(team).name}})

    return made


# --- asking ---------------------------------------------------------------------------------------------------------


def make_caller(caller: str, team: str) -> Identity | None:
    """Who asks, with PASSWORD, in the team; None for nobody."""
    if caller == "anonymous":
        return None
    name = f"{caller}-{uuid4().hex[:8]}"
    user = registration.create_user(
        username=name,
        email=f"{name}@example.com",
        password=PASSWORD,
        role=Role(caller),
        team=registration.team_named(team),
    )
    return user.identity


def body_of(operation: str, identity: Identity | None, arguments: Arguments) -> dict[str, Any]:
    return ask(document(operation, arguments), identity=identity, **arguments)


def data_of(operation: str, identity: Identity | None, **arguments: Any) -> Any:
    body = body_of(operation, identity, arguments)
    assert "errors" not in body, body
    return body["data"]["answer"]


# --- subjects -------------------------------------------------------------------------------------------------------


def a_member(team: str) -> User:
    name = f"member-{uuid4().hex[:8]}"
    return registration.create_user(
        username=name, email=f"{name}@example.com", password=PASSWORD, team=registration.team_named(team)
    )


def a_cancelled_task(team: str) -> Task:
    task = make_task(team)
    assert data_of("Mutation.cancelTask", make_caller("admin", team), id=str(task.pk))
    return task


def a_held_task(team: str) -> Task:
    """A task that a worker holds, and that is kept for it beyond its lease."""
    task = start(make_task(team, when_lost="hold"), uuid4())
    lease = Lease(task.pk, task.fencing_token, task.claim_id)
    lifecycle.renew([lease], timedelta(minutes=1), database_clock.now(), timedelta(days=1))
    return task


def a_schedule(team: str) -> Schedule:
    answer = data_of("Mutation.createTask", make_caller("admin", team), input=NEW_SCHEDULE)
    return Schedule.objects.get(id=answer["schedule"]["id"])


def a_paused_schedule(team: str) -> Schedule:
    schedule = a_schedule(team)
    data_of("Mutation.pauseSchedule", make_caller("admin", team), id=str(schedule.pk))
    return schedule


def a_worker(team: str) -> Worker:
    return make_worker(team=registration.team_named(team))


def a_worker_token(team: str) -> WorkerToken:
    account = make_caller("worker", team)
    assert account is not None
    return worker_tokens.issue(User.objects.get(pk=account.user_id), name="boat").token


def a_webhook(team: str) -> Webhook:
    asked = {"url": NEW_WEBHOOK["url"], "events": ["task.failed"]}
    return subscriptions.create(asked, registration.team_named(team).pk, database_clock.now()).webhook


def a_webhook_that_was_told(team: str, caller: Identity | None) -> Made:
    webhook = a_webhook(team)
    carrier = deliveries.make_test(webhook, database_clock.now())
    delivery = WebhookDelivery.objects.get(carrier_id=carrier.pk)
    noted = {"status_code": 500, "duration_ms": 3, "error": "broken"}
    deliveries.note(delivery, 1, **noted, delivered=False, now=database_clock.now())
    return Made({"id": str(webhook.pk)}, str(delivery.pk))


def a_message_to_send_again(team: str, caller: Identity | None) -> Made:
    told = a_webhook_that_was_told(team, caller)
    carrier = WebhookDelivery.objects.get(pk=told.sign).carrier_id
    lifecycle.cancel(carrier, database_clock.now())
    return Made(told.arguments | {"deliveryId": told.sign}, str(carrier))


def for_an_account_of_a_worker(team: str, caller: Identity | None) -> Made:
    account = make_caller("worker", team)
    assert account is not None
    return Made({"input": {"account": str(account.user_id)}}, str(account.user_id))


def of_a_worker(**arguments: Any) -> Make:
    """A worker that the caller has registered; if it is to be another team's, somebody else has."""

    def made(team: str, caller: Identity | None) -> Made:
        worker = _registered(team, caller)[0]
        return Made(
            {"workerId": str(worker.pk), **arguments}, str(make_task(team).pk) if "claimId" in arguments else None
        )

    return made


def with_a_lease(argument: str, **others: Any) -> Make:
    """As `of_a_worker`, with a lease of a task that the worker holds."""

    def made(team: str, caller: Identity | None) -> Made:
        worker, owner = _registered(team, caller)
        make_task(team)
        (leased,) = remote.claim(worker, owner, uuid4(), 1, None)
        lease = {
            "taskId": str(leased.lease.task_id),
            "fencingToken": leased.lease.fencing_token,
            "claimId": str(leased.lease.claim_id),
        }
        if argument in ("parent", "lease"):
            return Made({"workerId": str(worker.pk), argument: lease, **others})
        return Made({"workerId": str(worker.pk), argument: [lease | others]}, lease["taskId"])

    return made


def _registered(team: str, caller: Identity | None) -> tuple[Worker, Identity]:
    own = caller is not None and caller.team_id == registration.team_named(team).pk
    owner = caller if own and caller else make_caller("worker", team)
    assert owner is not None
    return remote.register(read_card({"handlers": ["send-email"]}, owner), owner), owner


def a_queue(team: str, caller: Identity | None) -> Made:
    make_task(team, queue="mail")
    return Made({"name": "mail"}, '"mail"')


def among_queues(team: str, caller: Identity | None) -> Made:
    return Made({}, a_queue(team, caller).sign)


def a_queue_and(**others: Any) -> Make:
    return lambda team, caller: Made({**a_queue(team, caller).arguments, **others}, '"mail"')


def a_refresh_token(team: str, caller: Identity | None) -> Made:
    return Made({"refreshToken": authentication.sign_in(a_member(team)).refresh_token})


def a_login(team: str, caller: Identity | None) -> Made:
    return Made({"input": {"username": a_member(team).username, "password": PASSWORD}})


def the_caller(team: str, caller: Identity | None) -> Made:
    return Made({}, str(caller.user_id) if caller else None)


def a_dead_letter(team: str, caller: Identity | None) -> Made:
    finish(make_task(team, max_retries=0), OutcomeKind.FAILED, error="broken")
    return Made({})


def one_task(team: str, caller: Identity | None) -> Made:
    make_task(team)
    return Made({})
