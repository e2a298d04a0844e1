"""Webhooks over the API: who subscribes gets a secret once, and sees what was delivered."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from pytest_django import Settings

from accounts.identity import Identity
from accounts.models import AuditEntry
from accounts.roles import Role
from dtq_site.foundation.database import database_clock
from tasks.models import Task, Webhook, WebhookDelivery
from tasks.webhooks import deliveries
from tests.integration.graphql.making import data, make_identity, refusal

pytestmark = pytest.mark.django_db

FIELDS = "id url events description active disabledReason previousSecretUntil createdAt updatedAt team { name }"
CREATE = (
    f"mutation ($input: CreateWebhookInput!) {{ createWebhook(input: $input) {{ secret webhook {{ {FIELDS} }} }} }}"
)
UPDATE = f"mutation ($id: ID!, $input: UpdateWebhookInput!) {{ updateWebhook(id: $id, input: $input) {{ {FIELDS} }} }}"
ROTATE = "mutation ($id: ID!, $overlap: Int) { rotateWebhookSecret(id: $id, overlapSeconds: $overlap) { secret } }"
NEW = {"url": "https://shop.example/hooks?key=1", "events": ["TASK_FAILED", "task_completed"]}


@pytest.fixture
def user() -> Identity:
    return make_identity(Role.USER)


def create(user: Identity, **changes: Any) -> dict[str, Any]:
    return data(CREATE, user, input=NEW | changes)["createWebhook"]


def rows() -> list[dict[str, Any]]:
    return list(Webhook.objects.order_by("id").values())


def audited() -> list[tuple[str, str, dict[str, Any]]]:
    found = AuditEntry.objects.filter(action__startswith="webhook.").order_by("id")
    return [(entry.action, entry.target, entry.facts) for entry in found]


def test_a_webhook_is_made_with_a_secret_that_is_shown_once(user: Identity):
    made = create(user, description=" The shop ")

    webhook = made["webhook"]
    assert made["secret"] == Webhook.objects.get().secret and len(made["secret"]) == 50
    assert webhook | {"createdAt": "", "updatedAt": ""} == {
        "id": webhook["id"],
        "url": "https://shop.example/hooks?key=1",
        "events": ["TASK_COMPLETED", "TASK_FAILED"],
        "description": "The shop",
        "active": True,
        "disabledReason": None,
        "previousSecretUntil": None,
        "createdAt": "",
        "updatedAt": "",
        "team": {"name": "red"},
    }
    listed = data(f"{{ webhooks {{ {FIELDS} }} }}", user)
    assert listed == {"webhooks": [webhook]} and made["secret"] not in str(listed)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"url": "http://10.0.0.1/"}, "input.url"),
        ({"url": "https://ann:pw@shop.example/"}, "input.url"),
        ({"url": ""}, "input.url"),
        ({"events": []}, "input.events"),
        ({"events": ["TEST"]}, "input.events"),
        ({"description": "x" * 201}, "input.description"),
        ({"active": None}, "input.active"),
    ],
)
def test_what_is_not_allowed_is_refused_at_its_field_and_nothing_is_written(
    user: Identity, changes: dict[str, Any], field: str
):
    made = create(user)["webhook"]
    before, noted = rows(), audited()

    assert refusal(CREATE, user, input=NEW | changes) == ("BAD_USER_INPUT", field)
    assert refusal(UPDATE, user, id=made["id"], input=changes) == ("BAD_USER_INPUT", field)

    assert (rows(), audited()) == (before, noted)


def test_an_address_must_be_encrypted_in_production_unless_allowed(user: Identity, settings: Settings):
    plain = {"url": "http://shop.example/"}
    assert create(user, **plain)["webhook"]["url"] == "http://shop.example/"
    settings.PRODUCTION = True

    assert refusal(CREATE, user, input=NEW | plain) == ("BAD_USER_INPUT", "input.url")
    assert len(rows()) == 1
    settings.DTQ_TASKS = dataclasses.replace(settings.DTQ_TASKS, webhook_allow_http=True)
    assert create(user, **plain)["webhook"]["url"] == "http://shop.example/"


def test_a_team_has_no_more_than_it_may(user: Identity, settings: Settings):
    settings.DTQ_TASKS = dataclasses.replace(settings.DTQ_TASKS, max_webhooks=1)
    create(user)

    assert refusal(CREATE, user, input=NEW) == ("CONFLICT", None)
    assert len(rows()) == 1
    create(make_identity(Role.USER, team="blue"))


def test_what_is_left_out_of_a_change_stays(user: Identity):
    made = create(user)

    changed = data(UPDATE, user, id=made["webhook"]["id"], input={"active": False})["updateWebhook"]

    assert changed | {"updatedAt": ""} == made["webhook"] | {"active": False, "updatedAt": ""}
    assert Webhook.objects.get().secret == made["secret"]
    assert refusal(UPDATE, user, id=made["webhook"]["id"], input={}) == ("BAD_USER_INPUT", "input")


def test_a_rotation_keeps_the_old_secret_for_a_while_or_not_at_all(user: Identity):
    made = create(user)
    id_ = made["webhook"]["id"]

    second = data(ROTATE, user, id=id_, overlap=60)["rotateWebhookSecret"]["secret"]
    row = Webhook.objects.get()
    kept = (row.secret, row.previous_secret, (row.previous_secret_until - row.updated_at).total_seconds())
    third = data(ROTATE, user, id=id_, overlap=0)["rotateWebhookSecret"]["secret"]
    row = Webhook.objects.get()

    assert kept == (second, made["secret"], 60.0)
    assert (row.secret, row.previous_secret, row.previous_secret_until) == (third, None, None)
    assert refusal(ROTATE, user, id=id_, overlap=-1) == ("BAD_USER_INPUT", "overlapSeconds")
    assert refusal(ROTATE, user, id=id_, overlap=31 * 86400) == ("BAD_USER_INPUT", "overlapSeconds")
    assert Webhook.objects.get().secret == third


def test_a_test_is_carried_by_a_task_and_the_log_shows_it(user: Identity):
    id_ = create(user)["webhook"]["id"]

    task = data("mutation ($id: ID!) { testWebhook(id: $id) { id name queue status payload } }", user, id=id_)
    delivery = WebhookDelivery.objects.get()
    noted: dict[str, Any] = {"status_code": None, "duration_ms": 5, "error": "no answer"}
    deliveries.note(delivery, 1, **noted, delivered=False, now=database_clock.now())
    noted |= {"status_code": 200, "error": ""}
    deliveries.note(delivery, 2, **noted, delivered=True, now=database_clock.now())
    log = data(
        "query ($id: ID!) { webhookDeliveries(id: $id, limit: 5) { id event taskId carrierId deliveredAt attempts "
        "{ attempt statusCode durationMs error } } }",
        user,
        id=id_,
    )["webhookDeliveries"]

    assert task["testWebhook"] == {
        "id": str(delivery.carrier_id),
        "name": "deliver-webhook",
        "queue": "webhooks",
        "status": "QUEUED",
        "payload": {"webhook": id_, "delivery": str(delivery.pk)},
    }
    (shown,) = log
    assert shown.pop("deliveredAt") is not None
    assert shown == {
        "id": str(delivery.pk),
        "event": "TEST",
        "taskId": None,
        "carrierId": str(delivery.carrier_id),
        "attempts": [
            {"attempt": 1, "statusCode": None, "durationMs": 5, "error": "no answer"},
            {"attempt": 2, "statusCode": 200, "durationMs": 5, "error": None},
        ],
    }


def test_every_change_is_in_the_audit_log_without_secret_and_address(user: Identity):
    made = create(user)
    id_ = made["webhook"]["id"]
    data(UPDATE, user, id=id_, input={"description": "Shop"})
    data(ROTATE, user, id=id_, overlap=1)
    data("mutation ($id: ID!) { testWebhook(id: $id) { id } }", user, id=id_)
    delivery = WebhookDelivery.objects.get()
    Task.objects.update(status="DEAD_LETTER")
    data(
        "mutation ($id: ID!, $delivery: ID!) { redeliverWebhook(id: $id, deliveryId: $delivery) { id } }",
        user,
        id=id_,
        delivery=str(delivery.pk),
    )
    assert data("mutation ($id: ID!) { deleteWebhook(id: $id) }", user, id=id_) == {"deleteWebhook": id_}

    shop = {"name": "Shop", "host": "shop.example"}
    task = str(delivery.carrier_id)
    assert audited() == [
        (
            "webhook.created",
            f"webhook:{id_}",
            {"name": "shop.example", "host": "shop.example", "events": ["task.completed", "task.failed"]},
        ),
        ("webhook.changed", f"webhook:{id_}", {**shop, "fields": ["description"]}),
        ("webhook.rotated", f"webhook:{id_}", shop),
        ("webhook.tested", f"webhook:{id_}", {**shop, "task": task}),
        ("webhook.redelivered", f"webhook:{id_}", {**shop, "delivery": str(delivery.pk), "task": task}),
        ("webhook.deleted", f"webhook:{id_}", shop),
    ]
    assert rows() == []
