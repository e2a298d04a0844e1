"""Webhooks in the Django admin: all that the API can, by the same verbs, and secrets shown once."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from accounts.models import AuditEntry
from accounts.roles import Role
from dtq_site.foundation.database import database_clock
from tasks.models import Task, Webhook, WebhookDelivery
from tasks.webhooks import deliveries
from tests.integration.webhooks.making import a_test_of, carriers, subscribe
from tests.support.factories import make_team, make_user

LIST, LOG = "/admin/tasks/webhook/", "/admin/tasks/webhookdelivery/"
SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]{44}")


@pytest.fixture
def browser() -> Client:
    """The browser of an administrator who has signed in."""
    client = Client()
    client.force_login(make_user("root", role=Role.ADMIN))
    return client


def filled_in(**changes: Any) -> dict[str, Any]:
    form = {"team": str(make_team().pk), "url": "https://shop.example/hooks", "events": ["task.failed"], "active": "on"}
    return {**form, "description": "The shop", **changes}


def chosen(action: str, *rows: Any, **more: str) -> dict[str, Any]:
    return {"action": action, "_selected_action": [str(row.pk) for row in rows], **more}


def audited() -> list[str]:
    return [entry.action for entry in AuditEntry.objects.filter(action__startswith="webhook.").order_by("pk")]


def secrets_in(response: HttpResponse) -> list[str]:
    return SECRET.findall(response.content.decode())


@pytest.mark.parametrize("page", [LIST, LOG])
def test_only_admins_come_in(page: str):
    client = Client()
    client.force_login(make_user("ann", role=Role.USER))

    assert client.get(page).status_code == 302


def test_a_new_webhook_shows_its_secret_once(browser: Client):
    made = browser.post(f"{LIST}add/", filled_in())

    webhook = Webhook.objects.get()
    pages = [browser.get(page) for page in (LIST, f"{LIST}{webhook.pk}/change/", "/admin/")]
    assert secrets_in(made) == [webhook.secret] and "no-store" in made["Cache-Control"]
    assert [secrets_in(page) for page in pages] == [[], [], []]
    assert "The shop" in pages[0].content.decode() and "task.failed" in pages[0].content.decode()
    assert (webhook.url, webhook.events, webhook.active) == ("https://shop.example/hooks", ["task.failed"], True)
    assert webhook.secret not in str(browser.cookies) and audited() == ["webhook.created"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"url": "ftp://a"}, "url"),
        ({"url": "https://10.0.0.1/"}, "url"),
        ({"events": []}, "events"),
        ({"team": ""}, "team"),
    ],
)
def test_what_the_api_refuses_is_refused_at_its_field(browser: Client, changes: dict[str, Any], field: str):
    answer = browser.post(f"{LIST}add/", filled_in(**changes))

    assert list(answer.context["adminform"].form.errors) == [field]
    assert not Webhook.objects.exists()


def test_a_webhook_is_changed_switched_tested_and_deleted(browser: Client):
    webhook = subscribe(description="old").webhook

    browser.post(f"{LIST}{webhook.pk}/change/", filled_in(description="new", events=["task.failed", "task.completed"]))
    browser.post(LIST, chosen("switch_off", webhook))
    off = Webhook.objects.get()
    browser.post(LIST, chosen("switch_on", webhook))
    on = Webhook.objects.get()
    browser.post(LIST, chosen("test", webhook))
    browser.post(f"{LIST}{webhook.pk}/delete/", {"post": "yes"})

    assert (off.description, off.events, off.active) == ("new", ["task.completed", "task.failed"], False)
    assert (on.active, on.secret, Webhook.objects.count()) == (True, webhook.secret, 0)
    assert [task.payload["webhook"] for task in carriers()] == [str(webhook.pk)]
    assert audited() == ["webhook.changed"] * 3 + ["webhook.tested", "webhook.deleted"]


def test_a_rotation_is_confirmed_and_shows_the_new_secret_once(browser: Client):
    first, second = subscribe(description="first").webhook, subscribe(description="second").webhook

    many = browser.post(LIST, chosen("rotate", first, second), follow=True)
    question = browser.post(LIST, chosen("rotate", first))
    unchanged = Webhook.objects.get(pk=first.pk).secret
    done = browser.post(LIST, chosen("rotate", first, confirmed="yes"))

    now = Webhook.objects.get(pk=first.pk)
    assert "Choose one webhook" in many.content.decode()
    assert "Give this webhook a new secret?" in question.content.decode()
    assert (unchanged, secrets_in(many), secrets_in(question)) == (first.secret, [], [])
    assert (secrets_in(done), now.previous_secret) == ([now.secret], first.secret)
    assert Webhook.objects.get(pk=second.pk).secret == second.secret
    assert audited() == ["webhook.rotated"]


def test_the_log_shows_how_deliveries_went_and_sends_them_again(browser: Client):
    webhook = subscribe("https://shop.example/hooks").webhook
    other = a_test_of(subscribe().webhook)[1]
    task, delivery = a_test_of(webhook)
    noted: dict[str, Any] = {"status_code": 503, "duration_ms": 17, "error": "shop.example answered 503"}
    deliveries.note(delivery, 1, **noted, delivered=False, now=database_clock.now())
    Task.objects.filter(pk=task.pk).update(status="DEAD_LETTER")

    listed = browser.get(f"{LOG}?webhook={webhook.pk}").content.decode()
    shown = browser.get(f"{LOG}{delivery.pk}/change/").content.decode()
    browser.post(LOG, chosen("redeliver", delivery))

    assert "503 after 17 ms" in listed and str(other.pk) not in listed
    assert f"{delivery.event} {delivery.pk}" in shown
    assert "attempt 1, 503, 17 ms" in shown and "shop.example answered 503" in shown and str(task.pk) in shown
    assert (Task.objects.get(pk=task.pk).status, WebhookDelivery.objects.count()) == ("QUEUED", 2)
    assert audited() == ["webhook.redelivered"]
    assert [browser.get(f"{LOG}{page}").status_code for page in ("add/", f"{delivery.pk}/delete/")] == [403, 403]
