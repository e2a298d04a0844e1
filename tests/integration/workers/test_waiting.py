"""Which of the claims that wait are called in."""

from __future__ import annotations

from uuid import uuid4

from accounts.models import Team
from tasks import lifecycle, queues
from tests.support.factories import START, claimed, create, make_team, waiting
from workers.gateway import Caller
from workers.waiting import may_serve, with_work


def caller(team: Team, *names: str, queues: tuple[str, ...] = ()) -> Caller:
    return Caller(uuid4(), frozenset(names or ("job",)), frozenset(queues), team.pk)


def test_those_are_called_for_whose_team_queue_and_handlers_a_task_is_ready():
    red, blue = make_team("red"), make_team("blue")
    create(team=red, queue="mail"), create(team=blue, name="other"), create(team=blue, queue="web")
    callers = [
        caller(blue),  # the task in web
        caller(red, queues=("web",)),
        caller(red, "unknown"),
        caller(red, queues=("mail", "web")),  # the task in mail
        caller(blue, "other", queues=("mail",)),
        caller(blue, "other"),  # the other task
    ]

    assert with_work(callers) == [0, 3, 5]


def test_as_many_are_called_as_there_are_tasks_and_the_first_ones_first():
    red = make_team("red")
    create(team=red), create(team=red)

    assert with_work([caller(red), caller(red, queues=("default",)), caller(red)]) == [0, 1]


def test_what_cannot_be_claimed_calls_nobody():
    red = make_team("red")
    create(team=red, queue="paused")
    queues.pause("paused")
    waiting(team=red), claimed(team=red)
    lifecycle.cancel(create(team=red).pk, START)

    assert with_work([caller(red), caller(red, queues=("paused",))]) == []


def test_a_queue_that_is_new_or_open_again_counts_at_once():
    red = make_team("red")
    who = [caller(red)]
    assert with_work(who) == []

    create(team=red, queue="new")
    assert with_work(who) == [0]

    queues.pause("new")
    assert with_work(who) == []
    queues.resume("new")
    assert with_work(who) == [0]


def test_a_bell_concerns_those_who_could_serve_its_lane():
    red = make_team("red")

    assert may_serve(caller(red), "mail", "job")
    assert may_serve(caller(red, queues=("mail",)), "mail", "job")
    assert not may_serve(caller(red, queues=("web",)), "mail", "job")
    assert not may_serve(caller(red, "other"), "mail", "job")
