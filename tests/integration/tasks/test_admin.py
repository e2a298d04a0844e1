"""Queues and limits of handlers in the Django admin: what people fill in goes through the verbs of the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.http import HttpResponse
from django.test import Client

from accounts.models import AuditEntry
from accounts.roles import Role
from dtq_site.foundation.database import database_clock
from tasks.models import HandlerLimits, Queue
from tests.support.factories import claimed, create, make_user

QUEUE, HANDLERS = "/admin/tasks/queue/", "/admin/tasks/handlerlimits/"
LIMITS = ("rate_limit", "burst", "concurrency_limit")


@pytest.fixture
def browser() -> Client:
    """The browser of an administrator who has signed in."""
    client = Client()
    client.force_login(make_user("root", role=Role.ADMIN))
    return client


def limits_of(row: Queue | HandlerLimits) -> tuple[Any, ...]:
    return type(row).objects.values_list(*LIMITS).get(pk=row.pk)


def errors_of(response: HttpResponse) -> dict[str, list[str]]:
    assert response.status_code == 200
    return response.context["adminform"].form.errors


def noted() -> int:
    return AuditEntry.objects.filter(action__in=("queue.changed", "handler.limited")).count()


@pytest.fixture
def mail() -> Queue:
    create(queue="mail")
    return Queue.objects.get(name="mail")


@pytest.mark.parametrize("role", [Role.USER, Role.VIEWER, Role.WORKER])
def test_only_admins_come_in(role: Role):
    client = Client()
    client.force_login(make_user("ann", role=role))

    assert [client.get(page).status_code for page in (QUEUE, HANDLERS)] == [302, 302]


def test_a_queue_is_limited_and_its_limits_are_lifted_again(browser: Client, mail: Queue):
    page = f"{QUEUE}mail/change/"
    form = {"weight": "3", "rate_limit": "100/m", "burst": "20", "concurrency_limit": "5"}

    assert browser.post(page, form).status_code == 302
    limited = limits_of(mail)
    assert browser.post(page, {"weight": "3"}).status_code == 302

    assert (limited, limits_of(mail)) == (("100/m", 20, 5), (None, None, None))
    assert Queue.objects.get(name="mail").weight == 3
    facts = AuditEntry.objects.filter(action="queue.changed").order_by("pk").values_list("target", "facts")
    assert list(facts) == [
        ("queue:mail", {"weight": 3, "rate_limit": "100/m", "burst": 20, "concurrency_limit": 5}),
        ("queue:mail", dict.fromkeys(LIMITS)),
    ]


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"rate_limit": "often"}, "rate_limit"),
        ({"burst": "5"}, "burst"),
        ({"concurrency_limit": "100001"}, "concurrency_limit"),
        ({"weight": "0"}, "weight"),
    ],
)
def test_a_refusal_stands_at_its_field_and_nothing_changes(browser: Client, mail: Queue, form: dict, field: str):
    before = Queue.objects.values().get(name="mail")

    errors = errors_of(browser.post(f"{QUEUE}mail/change/", {"weight": "1", **form}))

    assert list(errors) == [field]
    assert (Queue.objects.values().get(name="mail"), noted()) == (before, 0)


def test_queues_are_paused_and_resumed_and_neither_made_nor_removed(browser: Client, mail: Queue):
    for action, paused in (("pause", True), ("resume", False)):
        browser.post(QUEUE, {"action": action, "_selected_action": ["mail"]})
        assert Queue.objects.get(name="mail").paused is paused

    assert browser.get(f"{QUEUE}add/").status_code == browser.get(f"{QUEUE}mail/delete/").status_code == 403


def test_queues_are_listed_with_what_waits_and_runs_in_them(browser: Client, mail: Queue):
    now = database_clock.now()
    create(now - timedelta(hours=3), queue="mail", priority=9)
    claimed(now, queue="art")

    page = browser.get(QUEUE)

    rows = {queue.name: (queue.ready, queue.running, queue.oldest) for queue in page.context["cl"].result_list}
    assert rows == {"art": (0, 1, None), "default": (0, 0, None), "mail": (2, 0, rows["mail"][2])}
    assert now - rows["mail"][2] == pytest.approx(timedelta(hours=3), abs=timedelta(seconds=1))
    assert '<a href="/admin/tasks/task/?queue=mail">Show</a>' in page.content.decode()
    assert [queue.name for queue in browser.get(f"{QUEUE}?q=AI").context["cl"].result_list] == ["mail"]


def test_what_was_done_is_in_the_audit_log_and_in_no_other(browser: Client, mail: Queue):
    browser.post(f"{QUEUE}mail/change/", {"weight": "3"})
    browser.post(QUEUE, {"action": "pause", "_selected_action": ["mail"]})
    browser.post(f"{HANDLERS}add/", {"name": "send", "rate_limit": "10/s"})
    browser.post(HANDLERS, {"action": "delete_selected", "_selected_action": ["send"], "post": "yes"})

    noted = AuditEntry.objects.order_by("pk").values_list("action", flat=True)
    assert list(noted)[-4:] == ["queue.changed", "queue.paused", "handler.limited", "handler.limited"]
    assert not LogEntry.objects.exists()
    assert browser.get(f"{QUEUE}mail/history/").url == "/admin/accounts/auditentry/?q=queue%3Amail"


def test_of_a_handler_something_is_said_changed_and_taken_back(browser: Client):
    added = browser.post(f"{HANDLERS}add/", {"name": "send", "rate_limit": "10/s", "concurrency_limit": "0"})
    (said,) = HandlerLimits.objects.all()
    first = limits_of(said)
    changed = browser.post(f"{HANDLERS}send/change/", {"rate_limit": "none", "concurrency_limit": "0"})
    second = limits_of(said)
    gone = browser.post(f"{HANDLERS}send/delete/", {"post": "yes"})

    assert [answer.status_code for answer in (added, changed, gone)] == [302, 302, 302]
    assert (first, second) == (("10/s", None, 0), ("none", None, 0))
    assert list(HandlerLimits.objects.all()) == []
    assert AuditEntry.objects.filter(action="handler.limited", target="handler:send").count() == 3


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"name": "no name", "rate_limit": "1/s"}, "name"),
        ({"name": "send", "rate_limit": "often"}, "rate_limit"),
        ({"name": "send", "burst": "0"}, "burst"),
        ({"rate_limit": "1/s"}, "name"),
    ],
)
def test_what_makes_no_sense_of_a_handler_is_refused_at_its_field(browser: Client, form: dict, field: str):
    assert list(errors_of(browser.post(f"{HANDLERS}add/", form))) == [field]

    assert (HandlerLimits.objects.count(), noted()) == (0, 0)
