"""The audit log in the Django admin: to be read, found by who, what, when and of what, and never written."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import audit, registration
from accounts.models import AuditEntry
from accounts.roles import Role
from dtq_site.foundation.database import database_clock
from tests.integration.accounts.making import make_user

LIST = "/admin/accounts/auditentry/"


@pytest.fixture
def browser(committed_db: None) -> Client:
    """The browser of an administrator who has signed in."""
    client = Client()
    client.force_login(make_user("root", role=Role.ADMIN))
    return client


def listed(browser: Client, query: str) -> list[str]:
    """The targets of the entries that the list shows, in its order."""
    response = browser.get(LIST + query)
    assert response.status_code == 200
    return [entry.target for entry in response.context["cl"].result_list]


def test_the_audit_log_is_read_and_not_written(browser: Client):
    entry, before = AuditEntry.objects.get(), AuditEntry.objects.values().get()
    pages = f"/admin/accounts/auditentry/{entry.id}/"

    assert "user.created" in browser.get(pages + "change/").content.decode()
    assert "user.created" in browser.get("/admin/accounts/auditentry/?q=root").content.decode()
    assert browser.post(pages + "change/", {"action": "other"}).status_code == 403
    assert browser.post(pages + "delete/", {"post": "yes"}).status_code == 403
    assert browser.get("/admin/accounts/auditentry/add/").status_code == 403
    assert AuditEntry.objects.values().get() == before


def test_the_audit_log_tells_when_to_the_second_and_of_whom(browser: Client):
    registration.rename_team(registration.add_team("sailors").id, "divers")
    entry = AuditEntry.objects.first()

    listed = browser.get("/admin/accounts/auditentry/").content.decode()
    page = browser.get(f"/admin/accounts/auditentry/{entry.pk}/change/").content.decode()

    for shown in (listed, page):
        assert entry.at.strftime("%Y-%m-%d %H:%M:%S") in shown
    assert '<td class="field-named">divers</td>' in listed


def test_entries_are_found_by_who_what_when_and_of_what(browser: Client):
    ann, now = make_user("ann").identity, database_clock.now()
    for actor, action, target in (
        (ann, "queue.paused", "queue:mail"),
        (ann, "queue.resumed", "queue:mail"),
        (None, "queue.paused", "queue:art"),
    ):
        audit.record(actor, action, target)
    AuditEntry.objects.filter(target="queue:art").update(at=now - timedelta(days=3))

    assert listed(browser, "?actor=ann") == ["queue:mail", "queue:mail"]
    assert listed(browser, "?action=queue.paused") == ["queue:art", "queue:mail"]
    assert listed(browser, "?action=queue.paused&actor=ann") == ["queue:mail"]
    assert listed(browser, "?q=queue:a") == ["queue:art"]
    assert listed(browser, f"?day={now - timedelta(days=3):%Y-%m-%d}") == ["queue:art"]
    assert listed(browser, "?hours=24&q=queue:") == ["queue:mail", "queue:mail"]
    for nothing in (
        "?day=2030-13-45",
        "?day=tomorrow",
        "?day=9999-12-31",
        "?actor=nobody",
        "?action=queue.lost",
        "?q=mail",
    ):
        assert listed(browser, nothing) == []


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("", "PRIMARY"),
        ("?actor=ann", "audit_of_actor"),
        ("?action=queue.lost", "audit_of_action"),
        ("?q=queue:lost", "audit_of_target"),
        ("?day=2031-01-01", "audit_at"),
    ],
)
def test_every_way_to_find_entries_is_read_off_an_index(browser: Client, query: str, index: str):
    if connection.vendor != "mysql":
        pytest.skip("SQLite chooses by other rules")
    root, now = make_user("other").identity, database_clock.now()
    AuditEntry.objects.bulk_create(
        AuditEntry(at=now, actor=root.username, action="queue.paused", target=f"queue:{number}")
        for number in range(2000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE TABLE accounts_auditentry")

    with CaptureQueriesContext(connection) as queries:
        listed(browser, query)

    asked = [each["sql"] for each in queries if "`accounts_auditentry`.`facts`" in each["sql"]]
    assert len(asked) == 1
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {asked[0]}")
        plan = cursor.fetchall()
    assert {key for _, _, _, _, _, key, *_ in plan} == {index}
    assert sum(int(rows) for *_, rows, _ in plan) <= 200


def test_a_long_log_is_counted_no_further_than_a_bound(browser: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("accounts.admin_pages.MOST_COUNTED", 60)
    for number in range(100):
        audit.record(None, "queue.paused", f"queue:{number}")

    first, second = browser.get(LIST), browser.get(f"{LIST}?p=2")

    assert first.context["cl"].result_count == 60
    assert [entry.target for entry in second.context["cl"].result_list] == [f"queue:{n}" for n in range(49, 39, -1)]


def test_the_first_page_tells_what_was_done_last_and_leads_to_the_live_pages(browser: Client):
    audit.record(None, "queue.paused", "queue:mail")

    page = browser.get("/admin/").content.decode()

    assert "queue.paused" in page and "queue:mail" in page
    assert '<a href="/">Live pages</a>' in page and "<title>Administration | DTQ</title>" in page


@pytest.mark.django_db
@pytest.mark.parametrize("role", [Role.USER, Role.VIEWER, Role.WORKER])
def test_nobody_else_reads_it(role: Role):
    client = Client()
    client.force_login(make_user("ann", role=role))

    assert client.get(LIST).status_code == 302
    assert client.post(LIST, {"action": "x"}).status_code == 403
