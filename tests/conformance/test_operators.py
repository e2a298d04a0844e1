"""The pages for operators in a real browser, under the policy that they are served with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from accounts.roles import Role
from dtq_site.foundation.database import database_clock
from scheduling import samples
from tasks.domain.states import TaskStatus
from tasks.models import Queue, Task
from tests.integration.accounts.making import PASSWORD, make_user
from tests.integration.graphql.making import make_task
from tests.support.factories import claim as start
from tests.support.factories import create, failed, in_state, lease_of, reread, settle
from tests.support.factories import make_team as team
from workers import presence
from workers.domain.card import WorkerCard

Play = Callable[..., dict[str, Any]]


@pytest.fixture
def play(browser: str, server_url: str, run_node: Callable[..., Any]) -> Play:
    """Plays a scene as somebody of the team red of that role, about those tasks; returns what was seen in it.

    Nothing may have been asked of another host, and nothing complained of.
    """

    def act(scene: str, role: Role, *tasks: Task) -> dict[str, Any]:
        make_user("ann", team=team("red"), role=role)
        saw = run_node("operators.cjs", scene, browser, server_url, "ann", PASSWORD, *(str(task.pk) for task in tasks))
        assert saw.pop("hosts") == [server_url.removeprefix("http://")]
        assert saw.pop("complaints") == []
        return saw

    return act


@pytest.fixture
def dead(committed_db: None) -> Task:
    """A dead letter of the team red."""
    now = database_clock.now()
    (task,) = start([create(now, team=team("red"), name="daily-report", max_retries=0)], now)
    settle(failed(lease_of(task), "ValueError: broken"), now=now)
    return reread(task)


def test_somebody_finds_a_task_sees_it_change_and_retries_another(play: Play, dead: Task):
    now = database_clock.now()
    waiting = create(now, team=team("red"), scheduled_at=now + timedelta(hours=1))

    saw = play("find a task, see it change, retry another", Role.USER, waiting, dead)

    assert saw == {
        "first": "?status=DEAD_LETTER",
        "listed": 1,
        "kept": "daily",
        "offered": ["Copy", "Retry", "Duplicate…"],
    }
    assert (reread(waiting).status, reread(dead).status) == (TaskStatus.CANCELLED, TaskStatus.QUEUED)


def test_a_task_is_cloned_with_an_edited_payload(play: Play, dead: Task):
    assert play("clone a task with another payload", Role.USER, dead) == {"refused": "That is no JSON"}

    (clone,) = Task.objects.exclude(pk=dead.pk)
    assert (clone.name, clone.payload, clone.max_retries) == ("daily-report", {"reportType": "edited"}, 0)
    assert reread(dead).payload == {}


@pytest.mark.parametrize(
    ("role", "overview", "task", "tasks"),
    [
        (Role.VIEWER, [], ["Copy"], []),
        (
            Role.USER,
            ["Retry all", "Retry all"],
            ["Copy", "Retry", "Duplicate…"],
            ["Retry all of these", "Cancel all of these"],
        ),
        (
            Role.ADMIN,
            ["Retry all", "Retry all", "Pause"],
            ["Copy", "Retry", "Duplicate…"],
            ["Retry all of these", "Cancel all of these"],
        ),
    ],
)
def test_each_role_is_offered_what_it_may_do(
    play: Play, dead: Task, role: Role, overview: list[str], task: list[str], tasks: list[str]
):
    assert play("look at everything", role, dead) == {"overview": overview, "task": task, "tasks": tasks}


def test_an_admin_pauses_and_resumes_a_queue(play: Play, committed_db: None):
    create(database_clock.now())

    assert play("pause and resume a queue", Role.ADMIN) == {}

    assert not Queue.objects.get(name="default").paused


def test_the_pages_fit_a_phone_and_stay_dark(play: Play, dead: Task):
    in_state(TaskStatus.COMPLETED, database_clock.now(), team=team("red"), name="n" * 100, queue="q" * 60)

    saw = play("use a phone in the dark", Role.ADMIN, dead)

    assert saw == {"pressed": "24 h", "fits": [True, True, True], "kept": True, "differs": True}


def test_a_lost_connection_is_told_and_mended(play: Play, committed_db: None):
    assert play("lose the connection and find it again", Role.VIEWER) == {"said": "No connection"}


def test_a_connection_that_leads_nowhere_is_told_and_mended(play: Play, committed_db: None):
    assert play("hear nothing more and notice it", Role.VIEWER) == {"said": True}


def test_a_page_that_is_refused_a_token_tries_again_patiently(play: Play, committed_db: None):
    saw = play("be refused a token, and given one", Role.VIEWER)

    assert saw == {"said": True, "loaded": 1, "patient": True}


def test_a_task_is_reassigned_only_if_its_worker_is_cut_off(play: Play, committed_db: None):
    now = database_clock.now()
    tasks = []
    for name, heard in (("near", now + timedelta(minutes=5)), ("far", now - timedelta(hours=1))):
        card = WorkerCard(uuid4(), name, "host", 1, (), {}, 5, "remote", "1")
        presence.sign_on(card, heard)
        made = create(now, team=team("red"), queue=name)
        tasks += start([made], now, worker=card.id, lease=timedelta(minutes=5))
    Task.objects.update(held_until=now + timedelta(hours=1))

    saw = play("look at what workers keep", Role.USER, *tasks)

    assert saw == {
        "kept": ["Copy", "Cancel", "Duplicate…"],
        "cutOff": ["Copy", "Reassign", "Cancel", "Duplicate…"],
    }


def test_a_queue_is_stuck_if_nothing_of_it_runs_and_not_because_of_one_task(play: Play, committed_db: None):
    now = database_clock.now()
    presence.sign_on(WorkerCard(uuid4(), "near", "host", 1, (), {}, 5, "direct", "1"), now + timedelta(minutes=5))
    for queue in ("art", "mail"):
        create(now - timedelta(hours=1), team=team("red"), name="nobody-knows-it", queue=queue)
    in_state(TaskStatus.COMPLETED, now, team=team("red"), queue="mail")

    saw = play("see which queues are stuck", Role.VIEWER)

    assert saw == {"found": ["Queue art is stuck.", "The oldest task of queue mail does not run."], "badges": 1}


def test_the_page_of_a_waiting_task_leaves_the_keyboard_where_it_is(play: Play, committed_db: None):
    now = database_clock.now()
    parent = create(now, team=team("red"), scheduled_at=now + timedelta(hours=1))
    child = make_task("red", depends_on=[str(parent.pk)])

    saw = play("stay on the link to the task that another one waits for", Role.VIEWER, child)

    assert saw == {"focused": True, "leads": f"/tasks/{parent.pk}"}


def test_the_link_of_a_group_of_dead_letters_follows_what_they_have_in_common(play: Play, dead: Task):
    saw = play("follow the link of a group of dead letters, as it becomes", Role.VIEWER, dead)

    assert saw == {"before": "ValueError: broken"}


def test_ages_go_by_the_clock_of_the_server(play: Play, committed_db: None):
    now = database_clock.now()
    create(now)
    samples.take({}, now)

    assert play("look with a clock that is two hours ahead", Role.VIEWER) == {}


def test_signing_out_ends_every_window_and_no_token_is_left_in_the_browser(play: Play, committed_db: None):
    assert play("sign out in one window", Role.VIEWER) == {"stored": []}
