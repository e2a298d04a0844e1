"""Whose word counts of a handler that this process does not know: for a task, that of its team's workers; for limits, that of
the installation's."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from accounts.models import Team
from tasks import limits
from tasks.domain.rates import read_rate
from tasks.domain.submission import Request
from tasks.models import Task
from tasks.submission import Owner, submit_one
from tests.support.factories import ManualClock, after, claim, forget_what_processes_remember, make_team
from workers import presence
from workers.domain.card import WorkerCard

EVIL = {"queue": "evil", "lock": "evil", "rate": "1/h", "max_running": 1, "per": "{account}"}


@pytest.fixture(autouse=True)
def nothing_is_left_in_this_process(fresh: None) -> None:
    yield
    forget_what_processes_remember()


def announce(declared: dict[str, Any], team: Team | None, seconds: float = 0) -> None:
    """Have a worker of that team, or of the installation, sign on."""
    team_id = team.pk if team else None
    card = WorkerCard(uuid4(), "w", "host", 1, (), {"charge-card": declared}, 5, "direct", "1", team_id=team_id)
    presence.sign_on(card, after(seconds))
    forget_what_processes_remember()


def submit(team: Team) -> Task:
    request = Request(name="charge-card", payload={"account": "ann"})
    return submit_one(request, Owner(team.pk, None), ManualClock())


def test_what_another_teams_worker_announces_says_nothing_of_a_task():
    red, blue = make_team("red"), make_team("blue")

    announce(EVIL, blue)

    task = submit(red)
    assert (task.queue, task.lock, task.limit_key) == ("default", None, None)
    assert limits.of_handler("charge-card") is None
    assert len(claim([task, submit(red)])) == 2
    assert set(Task.objects.values_list("lock", "limit_key")) == {(None, None)}


def test_a_teams_own_worker_speaks_for_its_tasks_but_not_of_limits():
    blue = make_team("blue")

    announce(EVIL, blue)

    task = submit(blue)
    assert (task.queue, task.lock, task.limit_key) == ("evil", "evil", None)
    assert limits.of_handler("charge-card") is None


def test_the_installations_workers_speak_for_all_teams_and_alone_of_limits():
    red, blue = make_team("red"), make_team("blue")

    announce({"queue": "cards", "rate": "50/s", "per": "card:{account}"}, None)
    announce(EVIL, blue, seconds=1)

    assert (submit(red).queue, submit(red).limit_key) == ("cards", "card:ann")
    assert (submit(blue).queue, submit(blue).limit_key) == ("evil", "card:ann")
    rule = limits.of_handler("charge-card")
    assert (rule.rate, rule.cap, rule.per_key) == (read_rate("50/s"), None, True)


def test_the_newest_announcement_counts():
    red = make_team("red")

    announce({"queue": "new"}, None, seconds=1)
    announce({"queue": "old"}, None)

    assert submit(red).queue == "new"
