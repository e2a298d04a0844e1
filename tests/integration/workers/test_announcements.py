"""Whose word counts of a handler that this process does not know: for a task, that of its team's workers; for limits, that of
the installation's."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from accounts import worker_tokens
from accounts.models import Team
from accounts.roles import Role
from tasks import limits
from tasks.domain.rates import read_rate
from tasks.domain.submission import Request
from tasks.models import Task
from tasks.submission import Owner, submit_one
from tests.support.factories import ManualClock, after, claim, forget_what_processes_remember, make_team, make_user
from workers import presence
from workers.domain.card import WorkerCard

EVIL = {"queue": "evil", "lock": "evil", "rate": "1/h", "max_running": 1, "per": "{account}"}


@pytest.fixture(autouse=True)
def nothing_is_left_in_this_process(fresh: None) -> None:
    yield
    forget_what_processes_remember()


def announce(
    declared: dict[str, Any],
    team: Team | None,
    seconds: float = 0,
    token_id: UUID | None = None,
    **others: dict[str, Any],
) -> None:
    """Have a worker of that team, or of the installation, sign on."""
    team_id = team.pk if team else None
    handlers = {"charge-card": declared, **others}
    card = WorkerCard(uuid4(), "w", "host", 1, (), handlers, 5, "direct", "1", team_id=team_id)
    presence.sign_on(card, after(seconds), token_id=token_id)
    forget_what_processes_remember()


def token_for(team: Team, *queues: str) -> UUID:
    """A worker token of that team for these queues; for all, if none is named."""
    account = make_user(f"boat-{uuid4().hex[:8]}", role=Role.WORKER, team=team)
    return worker_tokens.issue(account, name="boat", queues=queues).token.pk


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


# --- tokens for some queues ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("honest", ["of the team", "of the installation", "with a token for all queues"])
def test_who_has_a_token_for_some_queues_diverts_no_tasks_that_others_have_announced(honest: str):
    blue = make_team("blue")
    token_id = token_for(blue) if honest == "with a token for all queues" else None
    announce({"queue": "cards"}, None if honest == "of the installation" else blue, token_id=token_id)

    announce({"queue": "fat", "lock": "fat"}, blue, seconds=1, token_id=token_for(blue, "fat"))

    assert (submit(blue).queue, submit(blue).lock) == ("cards", None)


def test_a_name_that_others_have_announced_without_a_queue_is_theirs_too():
    blue = make_team("blue")
    announce({}, None)

    announce({"queue": "fat"}, blue, seconds=1, token_id=token_for(blue, "fat"))

    assert submit(blue).queue == "default"


def test_what_nobody_else_has_announced_goes_to_a_queue_of_the_token_and_to_no_other():
    red, blue = make_team("red"), make_team("blue")
    token_id = token_for(blue, "fat", "thin")

    announce({"queue": "thin", "max_retries": 7}, blue, token_id=token_id)
    assert (submit(blue).queue, submit(blue).max_retries, submit(red).queue) == ("thin", 7, "default")

    announce({"queue": "payroll", "max_retries": 8}, blue, seconds=1, token_id=token_id)
    assert (submit(blue).queue, submit(blue).max_retries) == ("default", 8)


def test_of_a_token_that_is_gone_nobody_knows_for_which_queues_it_was():
    blue = make_team("blue")

    announce({"queue": "fat", "max_retries": 7}, blue, token_id=uuid4())

    assert (submit(blue).queue, submit(blue).max_retries) == ("default", 7)


# --- announcements of other versions -------------------------------------------------------------------------------


@pytest.mark.parametrize("unreadable", [{"when_lost": "EXPIRE"}, {"queue": ["a", "b"]}, "newer", None])
def test_what_this_version_cannot_read_is_passed_over_alone_and_told_once(
    unreadable: Any, caplog: pytest.LogCaptureFixture
):
    red = make_team("red")
    announce({"queue": "cards"}, None)

    announce({"queue": "new"}, None, seconds=1, something=unreadable)

    assert (submit(red).queue, limits.of_handler("something")) == ("new", None)
    announce(unreadable, None, seconds=2)
    assert submit(red).queue == "new"
    forget_what_processes_remember()
    assert submit(red).queue == "new"
    told = [record.msg for record in caplog.records if record.name == "dtq.workers"]
    assert [(each["event"], each["name"]) for each in told] == [
        ("announcement.unreadable", "something"),
        ("announcement.unreadable", "charge-card"),
    ]
