"""How many queues there may be: a share for each team, a bound for all, and neither for those of the installation itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from accounts.models import User
from accounts.roles import Role
from dtq_site.foundation.errors import BadInput
from tasks import handlers, lifecycle, queues, submission
from tasks.domain.submission import Request
from tasks.handling import registry
from tasks.handling.port import EnqueueRequest
from tasks.models import Queue, Task
from tasks.submission import Owner, submit
from tasks.webhooks import deliveries, subscriptions
from tests.support.factories import START, ManualClock, create, in_own_connection, make_team, make_user

Ask = Callable[..., list[Task]]


@pytest.fixture(autouse=True)
def bounds(settings: Any) -> None:
    """Two queues for each team, and five beside `default` for all."""
    Queue.objects.exclude(name="default").delete()
    Queue.objects.get_or_create(name="default", defaults={"created_at": START})
    settings.DTQ_TASKS = replace(settings.DTQ_TASKS, team_queues=2, max_queues=6)


def names() -> set[str]:
    return set(Queue.objects.values_list("name", flat=True)) - {"default"}


def of(user: User | None, team: str = "team") -> Owner:
    return Owner(make_team(team).pk, user.pk if user else None)


def ask(owner: Owner, *queue_names: str) -> list[Task]:
    return submit([Request(name="job", queue=name) for name in queue_names], owner, ManualClock())


def refused(call: Callable[[], Any]) -> BadInput:
    """What must be refused, and write nothing."""
    before = names(), Task.objects.count()
    with pytest.raises(BadInput) as refusal:
        call()
    assert (names(), Task.objects.count()) == before
    assert refusal.value.field == "queue"
    return refusal.value


@pytest.mark.parametrize("role", [Role.USER, Role.WORKER])
def test_a_team_makes_so_many_queues_and_no_more_and_leaves_room_for_others(role: Role):
    red, again, blue = make_user("red", role=role), make_user("again"), make_user("blue")

    ask(of(red, "red"), "one")
    error = refused(lambda: ask(of(red, "red"), "one", "two", "three"))
    ask(of(again, "red"), "two")
    refused(lambda: ask(of(again, "red"), "three"))

    assert "DTQ_TEAM_QUEUES" in error.message and "no queue 'two'" in error.message
    ask(of(red, "red"), "one", "two", "default")
    ask(of(blue, "blue"), "three", "four")
    ask(of(red, "red"), "four")
    assert names() == {"one", "two", "three", "four"}


def test_admins_and_code_make_queues_beside_the_share_of_the_team():
    ask(of(make_user("root", role=Role.ADMIN)), "one", "two", "three")
    submission.submit_from_code([EnqueueRequest(name="job", payload={}, queue="four")])

    assert names() == {"one", "two", "three", "four"}
    ask(of(make_user()), "five")
    assert "DTQ_MAX_QUEUES" in refused(lambda: ask(of(None), "six")).message


def test_a_task_that_is_moved_makes_no_queue_beyond_the_share():
    task, user, admin = create(), make_user(), make_user("root", role=Role.ADMIN)
    ask(of(user), "one", "two")

    refused(lambda: lifecycle.update(task.pk, {"queue": "three"}, START, user.pk))

    assert lifecycle.update(task.pk, {"queue": "two"}, START, user.pk).queue == "two"
    assert lifecycle.update(task.pk, {"queue": "three"}, START, admin.pk).queue == "three"


def test_what_has_no_place_for_its_handlers_queue_is_told_which_queue_that_is(declare: Callable[..., None]):
    declare(queue="three")
    owner = of(make_user())
    ask(owner, "one", "two")

    error = refused(lambda: submit([Request(name="job")], owner, ManualClock()))

    assert "no queue 'three'" in error.message and "handler's own" in error.message
    assert ask(owner, "one")[0].queue == "one"


def test_queues_of_the_installation_itself_are_made_however_many_there_are():
    ask(of(None), "one", "two", "three", "four", "five")
    Queue.objects.filter(name="default").delete()
    Queue.objects.create(name="six", created_at=START)
    webhook = subscriptions.create({"url": "https://shop.example", "events": ["task.failed"]}, make_team().pk, START)

    deliveries.make_test(webhook.webhook, START)
    ask(of(make_user()), "default")

    assert Queue.objects.filter(name__in=("default", "webhooks"), team_id=None).count() == 2
    refused(lambda: ask(of(None), "seven"))


def test_the_queues_of_the_built_in_handlers_are_of_the_installation_itself():
    built_in = [each for each in registry.registered().values() if each.function.__module__ == handlers.__name__]

    assert len(built_in) >= 4
    assert {each.declaration.queue for each in built_in} - {None} <= queues.ESSENTIAL


def test_those_who_ask_at_the_same_moment_make_no_more_than_the_share():
    owner, start = of(make_user()), threading.Barrier(6)

    def run(wanted: Sequence[str]) -> None:
        start.wait(10)
        with suppress(BadInput):
            in_own_connection(lambda: ask(owner, *wanted))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(run, [[f"q{n}", f"p{n}"] for n in range(6)]))

    assert len(names()) == 2
