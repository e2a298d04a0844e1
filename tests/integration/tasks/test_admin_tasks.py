"""Tasks in the Django admin: which are listed, a page at a time, at what cost, and what is shown of one."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.roles import Role
from dtq_site.foundation.database import database_clock
from tasks import lifecycle, listing
from tasks.admin import browsing
from tasks.admin.tasks import TaskAdmin
from tests.integration.tasks.browsing import LIST, browser_of, dead, ids, listed, many, older
from tests.support.factories import WORKER, claimed, create, make_team, new_task, row
from tests.support.reading import rows_read


@pytest.fixture
def browser() -> Client:
    """The browser of an administrator who has signed in."""
    return browser_of("root", Role.ADMIN)


def test_the_newest_are_first_and_older_ones_follow(browser: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(TaskAdmin, "list_per_page", 2)
    tasks = many(5)[::-1]

    pages, query = [], ""
    while query is not None:
        response = browser.get(LIST + query)
        pages.append([str(task.pk) for task in response.context["cl"].result_list])
        query = older(response)

    assert pages == [ids(*tasks[:2]), ids(*tasks[2:4]), ids(tasks[4])]


def test_filters_choose_and_add_up(browser: Client):
    mail, art = many(1, queue="mail", name="send"), many(1, queue="art", name="draw")
    (of_others,) = many(1, queue="mail", name="send", team=make_team("others"))
    failed = dead(queue="mail", name="send")
    running = claimed(database_clock.now(), queue="mail", name="send")

    assert listed(browser, "?queue=mail") == ids(running, failed, of_others, *mail)
    assert listed(browser, "?handler=draw") == ids(*art)
    assert listed(browser, "?status=DEAD_LETTER&queue=mail") == ids(failed)
    assert listed(browser, "?team=others&queue=mail&hours=1") == ids(of_others)
    assert listed(browser, "?error=BROKE") == ids(failed)
    assert listed(browser, f"?worker={WORKER}") == ids(running)
    for nothing in (
        "status=LOST",
        "team=nobody",
        "worker=x",
        "schedule=x",
        "hours=x",
        "queue=none",
        "hours=1&queue=no",
    ):
        assert listed(browser, f"?{nothing}") == []


@pytest.mark.parametrize("query", ["?after=nonsense", "?name__contains=a", "?o=1.2&payload__x=1"])
def test_what_is_no_filter_leads_back_to_the_list(browser: Client, query: str):
    create()

    assert browser.get(LIST + query).status_code in (302, 400)


def test_the_search_finds_text_and_the_beginning_of_an_id(browser: Client):
    needle, other = many(1, title="A needle")[0], many(1)[0]

    assert listed(browser, "?q=NEEDLE") == ids(needle)
    assert listed(browser, f"?q={other.pk}") == ids(other)
    assert listed(browser, "?q=nothing") == []


def test_a_page_looks_through_a_window_and_says_where_to_look_further(browser: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(browsing, "WINDOW", 3)
    monkeypatch.setattr(browsing, "FEW", 0)
    found = many(1, queue="mail")
    many(4, queue="art")

    first = browser.get(f"{LIST}?queue=mail")
    second = browser.get(LIST + (older(first) or ""))

    assert list(first.context["cl"].result_list) == []
    assert [task.pk for task in second.context["cl"].result_list] == [found[0].pk]
    assert older(second) is None


def test_a_small_queue_is_looked_through_as_a_whole(browser: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(browsing, "WINDOW", 3)
    found = many(1, queue="mail")
    many(4, queue="art")

    assert listed(browser, "?queue=mail") == ids(*found)


def test_a_page_counts_nothing_and_reads_no_more_than_its_window(browser: Client, monkeypatch: pytest.MonkeyPatch):
    if connection.vendor != "mysql":
        pytest.skip("only MariaDB tells what it reads")
    for module, name, value in (
        (browsing, "WINDOW", 200),
        (listing, "SEARCHED", 200),
        (listing, "SEARCHED_AT_ONCE", 100),
    ):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(browsing, "FEW", 100)
    monkeypatch.setattr(TaskAdmin, "list_per_page", 20)
    for _ in range(4):
        lifecycle.create([new_task(queue="mail") for _ in range(1000)], database_clock.now())
    dead()
    searches = (
        "?status=DEAD_LETTER",
        "?queue=mail&status=QUEUED",
        "?handler=none",
        "?q=nothing",
        "?error=nothing&queue=mail",
    )

    for query in ("", older(browser.get(LIST)), *searches):
        before = rows_read()
        with CaptureQueriesContext(connection) as queries:
            listed(browser, query)

        assert rows_read() - before < 2500, query
        asked = [query["sql"] for query in queries if "tasks_task" in query["sql"]]
        assert 0 < len(asked) <= 12
        assert not [sql for sql in asked if "COUNT(" in sql or "DISTINCT" in sql]
        with connection.cursor() as cursor:
            for sql in asked:
                cursor.execute(f"EXPLAIN {sql}")
                assert all(key for _, _, table, _, _, key, *_ in cursor.fetchall() if table == "tasks_task"), sql


def test_a_task_is_shown_with_what_went_wrong_and_leads_to_its_live_page(browser: Client):
    task = dead(title="Invoice 7", payload={"amount": 12})
    before = row(task)

    page = browser.get(f"{LIST}{task.pk}/change/").content.decode()

    for shown in ("Invoice 7", "it broke", "amount", "attempt 1, failed", f'href="/tasks/{task.pk}"'):
        assert shown in page
    for refused in (f"{task.pk}/change/", f"{task.pk}/delete/", "add/"):
        assert browser.post(LIST + refused, {"title": "other", "post": "yes"}).status_code == 403
    assert row(task) == before


def test_the_history_of_a_task_is_what_the_audit_log_has_of_it(browser: Client):
    task = dead()

    assert browser.get(f"{LIST}{task.pk}/history/").url == f"/admin/accounts/auditentry/?q=task%3A{task.pk}"
