"""What is done to many tasks in the Django admin: after a preview, by the verbs of the engine, and by admins only."""

from __future__ import annotations

import pytest
from django.http import HttpResponse
from django.test import Client

from accounts.models import AuditEntry
from accounts.roles import Role
from dtq_site.foundation.database import database_clock
from tasks import bulk
from tasks.admin.tasks import TaskAdmin
from tasks.domain.states import TaskStatus
from tasks.models import BulkRequest, Task
from tests.integration.tasks.browsing import LIST, REQUESTS, browser_of, dead, ids, many
from tests.support.factories import create, in_state, row


@pytest.fixture
def browser() -> Client:
    """The browser of an administrator who has signed in."""
    return browser_of("root", Role.ADMIN)


def act(browser: Client, action: str, *tasks: Task, query: str = "", across: bool = False, **more: str) -> HttpResponse:
    form = {"action": action, "_selected_action": ids(*tasks), "select_across": "1" if across else "0", **more}
    return browser.post(LIST + query, form)


def status(*tasks: Task) -> list[str]:
    return [Task.objects.values_list("status", flat=True).get(pk=task.pk) for task in tasks]


def test_a_preview_shows_what_would_be_done_and_does_nothing(browser: Client):
    tasks = [dead(queue="mail"), dead(queue="mail"), in_state(TaskStatus.FAILED, database_clock.now()), create()]
    before = [row(task) for task in tasks]

    response = act(browser, "retry", *tasks)

    assert response.status_code == 200
    assert response.context["preview"].groups == [("DEAD_LETTER", "mail", "job", 2), ("FAILED", "default", "job", 1)]
    assert [row(task) for task in tasks] == before
    assert not AuditEntry.objects.filter(target="tasks").exists()


def test_the_chosen_ones_are_run_again_at_once(browser: Client):
    chosen, other = dead(), dead()
    before = row(other)

    response = act(browser, "retry", chosen, confirmed="yes", rate="")

    assert response.status_code == 302
    assert (status(chosen), row(other)) == (["QUEUED"], before)
    entry = AuditEntry.objects.get(action="tasks.retried")
    assert (entry.actor, entry.facts["count"], entry.facts["filter"]["ids"]) == ("root", 1, ids(chosen))


def test_all_that_the_filters_let_through_are_cancelled_on_the_page_or_not(
    browser: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(TaskAdmin, "list_per_page", 1)
    mail, art = many(3, queue="mail"), many(1, queue="art")

    act(browser, "cancel", mail[0], query="?queue=mail", across=True, confirmed="yes")

    assert (status(*mail), status(*art)) == (["CANCELLED"] * 3, ["QUEUED"])
    assert AuditEntry.objects.get(action="tasks.cancelled").facts["filter"]["queue"] == "mail"


def test_dead_letters_are_redriven_at_a_rate_and_nothing_else_is(browser: Client):
    letters, failed = [dead() for _ in range(3)], in_state(TaskStatus.FAILED, database_clock.now())

    page = act(browser, "redrive", *letters, failed).content.decode()
    act(browser, "redrive", *letters, failed, confirmed="yes", rate="1/s")

    assert 'value="10/s"' in page
    (kept,) = bulk.unfinished()
    assert "1/s" in browser.get(REQUESTS).content.decode()
    bulk.advance(kept, database_clock.now())
    assert sorted(status(*letters)) == ["DEAD_LETTER", "DEAD_LETTER", "QUEUED"]
    assert status(failed) == ["FAILED"]
    assert AuditEntry.objects.get(action="tasks.retried").facts["rate"] == "1/s"


def test_what_is_no_rate_is_asked_for_again_and_nothing_is_done(browser: Client):
    letter = dead()
    before = row(letter)

    response = act(browser, "redrive", letter, confirmed="yes", rate="often")

    assert list(response.context["form"].errors) == ["rate"]
    assert (row(letter), BulkRequest.objects.count()) == (before, 0)


def test_a_request_under_way_is_stopped(browser: Client):
    letters = [dead() for _ in range(2)]
    act(browser, "redrive", *letters, confirmed="yes", rate="1/s")
    (kept,) = bulk.unfinished()

    browser.post(REQUESTS, {"action": "stop", "_selected_action": [str(kept)]})

    assert (bulk.unfinished(), status(*letters)) == ([], ["DEAD_LETTER"] * 2)
    assert AuditEntry.objects.get(action="tasks.stopped").actor == "root"


@pytest.mark.parametrize("role", [Role.USER, Role.VIEWER, Role.WORKER])
@pytest.mark.parametrize("action", ["retry", "cancel", "redrive"])
def test_nobody_else_does_anything(role: Role, action: str):
    client, tasks = browser_of("ann", role), [dead(), create()]
    before = [row(task) for task in tasks]

    assert client.get(LIST).status_code == 302
    assert act(client, action, *tasks, confirmed="yes").status_code == 403
    assert act(Client(), action, *tasks, confirmed="yes").status_code == 302

    assert [row(task) for task in tasks] == before
    assert not AuditEntry.objects.filter(target="tasks").exists()


def test_a_form_of_another_site_is_refused():
    client, letter = browser_of("root", Role.ADMIN, enforce_csrf_checks=True), dead()
    before = row(letter)

    assert act(client, "retry", letter, confirmed="yes").status_code == 403

    assert row(letter) == before
