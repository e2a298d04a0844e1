"""Workers in the Django admin: who was cut off and since when, and nothing to change."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

import pytest
from django.test import Client

from accounts.roles import Role
from dtq_site.foundation.database import database_clock
from tests.support.factories import claim, create, make_user
from workers import presence
from workers.domain.card import WorkerCard
from workers.models import Worker

LIST = "/admin/workers/worker/"


@pytest.fixture
def browser() -> Client:
    """The browser of an administrator who has signed in."""
    client = Client()
    client.force_login(make_user("root", role=Role.ADMIN))
    return client


def sign_on(name: str, silent: timedelta) -> uuid.UUID:
    card = WorkerCard(uuid.uuid4(), name, "host", 1, (), {}, 5, "remote", "1")
    presence.sign_on(card, database_clock.now() - silent)
    return card.id


def test_who_is_cut_off_is_listed_since_when_and_until_when_its_tasks_are_its_own(browser):
    now = database_clock.now()
    sign_on("here", timedelta(0))
    boat = sign_on("boat", timedelta(hours=3))
    claim([create(now)], now, worker=boat, lease=timedelta(hours=9))

    page = browser.get(LIST).content.decode()

    cells = {
        name: [re.search(rf'field-{field}[^>]*>(?:<a[^>]*>)?([^<]*)', row).group(1) for field in ("offline_since", "lease_until")]
        for row in re.findall(r"<tr>.*?</tr>", page, re.S)
        for name in re.findall(r">(here|boat)</a>", row)
    }  # fmt: skip
    assert cells["here"] == ["", ""]
    assert all(cells["boat"]) and len(cells) == 2


def test_workers_are_found_by_state_transport_team_and_name(browser):
    sign_on("here", timedelta(0))
    sign_on("boat", timedelta(hours=3))
    presence.sign_off(sign_on("done", timedelta(0)), database_clock.now())

    def listed(query: str) -> list[str]:
        return [worker.name for worker in browser.get(f"{LIST}?{query}").context["cl"].result_list]

    assert [listed(f"state={state}") for state in ("online", "offline", "stopped")] == [["here"], ["boat"], ["done"]]
    assert [listed("transport=remote"), listed("transport=direct")] == [["boat", "done", "here"], []]
    assert [listed("q=BO"), listed("q=oa"), listed("team=none")] == [["boat"], [], []]


def test_what_each_runs_is_told_and_leads_to_its_tasks(browser):
    now = database_clock.now()
    here = sign_on("here", timedelta(0))
    claim([create(now)], now, worker=here)

    page = browser.get(LIST).content.decode()

    assert f'<a href="/admin/tasks/task/?worker={here}">1 of 5</a>' in page


def test_nothing_can_be_changed(browser):
    worker = sign_on("here", timedelta(0))
    before = list(Worker.objects.values())

    assert browser.get(f"{LIST}{worker}/change/").status_code == 200
    for refused in (f"{LIST}add/", f"{LIST}{worker}/delete/"):
        assert browser.post(refused, {"post": "yes"}).status_code == 403
    assert browser.post(f"{LIST}{worker}/change/", {"name": "other"}).status_code == 403
    assert list(Worker.objects.values()) == before
