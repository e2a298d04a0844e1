"""explain: each thing that keeps a task from running is named, with what it is about."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from accounts.identity import Identity
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.scalars import DateTime
from scheduling.models import Schedule
from scheduling.runtime.leader import acquire
from tasks import explanation, lifecycle, queues
from tasks.domain.lease import Lease
from tasks.domain.outcome import OutcomeKind
from tasks.domain.reasons import ReasonCode
from tasks.models import NamedLock, Task
from tests.integration.graphql.making import POLICY, data, finish, make_task, make_worker, refusal, row, start
from tests.support.api import ask

pytestmark = pytest.mark.django_db

EXPLAIN = "query ($id: ID!) { explain(id: $id) { sentence reasons { code message until task worker queue } } }"


def reasons(identity: Identity, task: Task) -> list[dict[str, Any]]:
    answer = data(EXPLAIN, identity, id=str(task.pk))["explain"]
    assert answer["sentence"] == " ".join(reason["message"] for reason in answer["reasons"])
    return answer["reasons"]


def codes(identity: Identity, task: Task) -> list[str]:
    return [reason["code"] for reason in reasons(identity, task)]


def only(identity: Identity, task: Task) -> dict[str, Any]:
    (reason,) = reasons(identity, task)
    return {key: value for key, value in reason.items() if value is not None and key != "message"}


@pytest.fixture
def crew(db: None) -> None:
    """A worker that serves the queue mail and knows send-email."""
    make_worker("w-1", handlers=("send-email",))


@pytest.fixture
def mail(crew: None) -> dict[str, Any]:
    return {"queue": "mail"}


def test_nothing_stands_in_the_way_of_what_is_ready(user: Identity, mail: dict):
    assert only(user, make_task(**mail)) == {"code": "READY"}


def test_what_is_due_later_says_when(user: Identity, mail: dict):
    task = make_task(delay_seconds=60, **mail)

    assert only(user, task) == {"code": "DUE_LATER", "until": DateTime.serialize(task.scheduled_at)}


def test_what_failed_says_when_it_is_tried_again(user: Identity, mail: dict):
    task = finish(make_task(**mail), OutcomeKind.FAILED, error="no")

    assert only(user, task) == {"code": "BACKOFF", "until": DateTime.serialize(task.scheduled_at)}


def test_the_coming_occurrence_of_a_schedule_says_so(user: Identity, mail: dict):
    create = 'mutation { createTask(input: {name: "send-email", queue: "mail", cronExpression: "@daily"}) { id } }'
    task = Task.objects.get(pk=data(create, user)["createTask"]["id"])

    assert only(user, task) == {"code": "SCHEDULED", "until": DateTime.serialize(task.scheduled_at)}


def test_what_is_due_while_no_scheduler_runs_says_so(user: Identity, mail: dict):
    task = make_task(delay_seconds=60, **mail)
    Task.objects.filter(pk=task.pk).update(scheduled_at=database_clock.now() - timedelta(seconds=1))

    assert codes(user, task) == ["DUE_LATER", "NO_SCHEDULER"]


def test_an_occurrence_that_waits_for_the_one_before_names_it(user: Identity, mail: dict):
    create = 'mutation { createTask(input: {name: "send-email", queue: "mail", cronExpression: "@daily"}) { id } }'
    task, before = Task.objects.get(pk=data(create, user)["createTask"]["id"]), make_task(**mail)
    Schedule.objects.update(behind_task_id=before.pk)
    Task.objects.filter(pk=task.pk).update(scheduled_at=database_clock.now() - timedelta(seconds=1))
    acquire(uuid4(), timedelta(seconds=6), database_clock.now())

    scheduled, overlap = reasons(user, task)
    assert (scheduled["code"], overlap["code"], overlap["task"]) == ("SCHEDULED", "OVERLAP", str(before.pk))


def test_what_waits_for_others_names_them_and_what_has_become_of_them(user: Identity, mail: dict):
    failed, slow = make_task(**mail), make_task(**mail)
    task = make_task(**mail, depends_on=[str(failed.pk), str(slow.pk)], on_dependency_failure="HOLD")
    finish(failed, OutcomeKind.DISCARDED, error="no use")

    first, second = reasons(user, task)
    assert first["code"] == second["code"] == "DEPENDENCY" and first["task"] == str(failed.pk)
    assert first["message"] == (
        f"It waits for task {failed.pk} (send-email), which is FAILED. It goes on once that one is retried and completes."
    )
    assert (second["task"], second["message"]) == (
        str(slow.pk), f"It waits for task {slow.pk} (send-email), which is QUEUED.",
    )  # fmt: skip


def test_of_very_many_that_are_waited_for_the_first_are_named(user: Identity, mail: dict):
    many = [str(make_task(**mail).pk) for _ in range(15)]

    *named, others = reasons(user, make_task(**mail, depends_on=many))

    assert [reason["task"] for reason in named] == many[:10]
    assert (others["task"], others["message"]) == (None, "It waits for 5 more tasks.")


def test_a_paused_queue_is_named(user: Identity, mail: dict):
    ready, waiting = make_task(**mail), make_task(delay_seconds=60, **mail)
    queues.pause("mail")

    assert only(user, ready) == {"code": "QUEUE_PAUSED", "queue": "mail"}
    assert codes(user, waiting) == ["DUE_LATER", "QUEUE_PAUSED"]


def test_what_goes_before_it_is_counted(user: Identity, mail: dict, monkeypatch: pytest.MonkeyPatch):
    first, second, urgent = make_task(**mail), make_task(**mail), make_task("blue", priority="HIGH", **mail)
    make_task(queue="art"), make_task(delay_seconds=9, priority=100, **mail), start(make_task(priority=50, **mail))

    assert only(user, second) == {"code": "TASKS_AHEAD", "queue": "mail"}
    assert "2 tasks go before it" in reasons(user, second)[0]["message"]
    assert "1 task goes before it" in reasons(user, first)[0]["message"]
    monkeypatch.setattr(explanation, "MOST_AHEAD", 2)
    assert "at least 2 tasks" in reasons(user, second)[0]["message"]
    assert Task.objects.get(pk=urgent.pk).status == "QUEUED"


def test_a_queue_without_workers_says_who_was_seen_last(user: Identity):
    task = make_task(queue="mail")
    assert only(user, task) == {"code": "NO_WORKER", "queue": "mail"}
    assert "the last one" not in reasons(user, task)[0]["message"]

    make_worker("silent", handlers=("send-email",), silent=timedelta(hours=1))
    make_worker("elsewhere", handlers=("send-email",))

    assert codes(user, make_task(queue="art")) == ["NO_WORKER"]
    from workers.models import Worker

    Worker.objects.filter(name="elsewhere").update(queues=["art"])
    assert codes(user, task) == ["NO_WORKER"]
    assert "the last one was heard of at" in reasons(user, task)[0]["message"]


def test_that_others_go_before_it_is_said_last(user: Identity):
    _, task = make_task(queue="mail"), make_task(queue="mail")
    queues.pause("mail")

    assert codes(user, task) == ["QUEUE_PAUSED", "NO_WORKER", "TASKS_AHEAD"]


def test_a_worker_of_another_team_does_not_count(user: Identity, stranger: Identity):
    from accounts.models import Team

    make_worker("w", handlers=("send-email",), team=Team.objects.get(pk=stranger.team_id))

    assert codes(user, make_task("red", queue="mail")) == ["NO_WORKER"]
    assert codes(stranger, make_task("blue", queue="mail")) == ["TASKS_AHEAD"]


def test_a_handler_that_nobody_knows_is_told_apart(user: Identity, mail: dict):
    assert only(user, make_task(name="paint", **mail)) == {"code": "UNKNOWN_HANDLER", "queue": "mail"}


def test_what_runs_names_its_worker(user: Identity, mail: dict):
    worker = make_worker("w-2")
    task = start(make_task(**mail), worker.pk)

    expected = {"code": "RUNNING", "worker": str(worker.pk), "until": DateTime.serialize(task.lease_expires_at)}
    assert only(user, task) == expected
    lost = start(make_task(**mail), uuid4())
    assert codes(user, lost) == ["RUNNING", "WORKER_SILENT"]
    silent = make_worker("w-3", silent=timedelta(hours=2))
    since = f"{silent.last_heartbeat:%Y-%m-%d %H:%M:%S}"
    assert f"is offline since {since} UTC" in reasons(user, start(make_task(**mail), silent.pk))[1]["message"]


def test_what_is_kept_for_a_worker_that_is_cut_off_says_until_when(user: Identity, mail: dict):
    worker = make_worker("w-2", silent=timedelta(hours=1))
    task = start(make_task(when_lost="hold", **mail), worker.pk)
    now = database_clock.now()
    lease = Lease(task.pk, task.fencing_token, task.claim_id)
    lifecycle.renew([lease], timedelta(seconds=-1), now, timedelta(days=2))
    ends = DateTime.serialize(now - timedelta(seconds=1) + timedelta(days=2))

    first, second = reasons(user, task)

    assert (first["code"], first["until"], first["worker"]) == ("HELD_FOR_WORKER", ends, str(worker.pk))
    assert (second["code"], second["until"]) == ("WORKER_SILENT", ends)


def test_what_was_cancelled_while_it_ran_waits_for_its_worker(user: Identity, mail: dict):
    worker = make_worker("w-2")
    task = start(make_task(**mail), worker.pk)
    lifecycle.cancel(task.pk, database_clock.now())
    held = {"worker": str(worker.pk), "until": DateTime.serialize(task.lease_expires_at)}

    told = reasons(user, task)
    assert [reason["code"] for reason in told] == ["CANCELLED", "CANCEL_UNHEARD"]
    assert {key: told[1][key] for key in held} == held

    lifecycle.retry(task.pk, database_clock.now())
    assert only(user, task) == {"code": "CANCELLED_ATTEMPT", **held}

    lifecycle.release([Lease(task.pk, task.fencing_token, task.claim_id)], database_clock.now())
    assert codes(user, task) == ["DUE_LATER", "NO_SCHEDULER"]


def test_a_lock_names_its_holder_unless_that_is_another_teams(user: Identity, stranger: Identity, mail: dict):
    holder, mine, theirs = make_task(**mail), make_task(**mail), make_task("blue", **mail)
    Task.objects.update(lock="door")
    start(holder)
    for task in (mine, theirs):
        claim = lifecycle.Claim(uuid4(), uuid4(), timedelta(minutes=1))
        assert lifecycle.claim([task.pk], "mail", [task.name], claim, database_clock.now()) == []

    assert only(user, mine) == {"code": "LOCK_HELD", "task": str(holder.pk)}
    assert only(stranger, theirs) == {"code": "LOCK_HELD"}
    assert str(holder.pk) not in reasons(stranger, theirs)[0]["message"]
    NamedLock.objects.update(holder_id=None)
    assert "waits for its turn" in reasons(user, mine)[0]["message"]


def test_what_has_ended_says_how(user: Identity, mail: dict):
    cancelled = make_task(**mail)
    lifecycle.cancel(cancelled.pk, database_clock.now())

    assert only(user, finish(make_task(**mail))) == {"code": "COMPLETED"}
    assert only(user, finish(make_task(**mail), OutcomeKind.DISCARDED, error="bad address")) == {"code": "FAILED"}
    assert only(user, cancelled) == {"code": "CANCELLED"}


def test_a_dead_letter_says_what_used_it_up(user: Identity, mail: dict):
    failed = finish(make_task(max_retries=0, **mail), OutcomeKind.FAILED, error="it broke\nand so on")
    worker = make_worker("w-2")
    lost = start(make_task(max_retries=0, **mail), worker.pk)
    lifecycle.forfeit([Lease(lost.pk, lost.fencing_token, lost.claim_id)], POLICY, lambda: 0.0, database_clock.now())

    assert only(user, failed) == {"code": "ATTEMPTS_USED_UP"}
    assert reasons(user, failed)[0]["message"] == "It is a dead letter: attempt 1 of 1 failed too: it broke"
    assert only(user, lost) == {"code": "WORKER_LOST", "worker": str(worker.pk)}


def test_a_long_error_is_cut(user: Identity, mail: dict):
    task = finish(make_task(**mail), OutcomeKind.DISCARDED, error="x" * 5000)

    assert len(reasons(user, task)[0]["message"]) < 300


def test_every_code_is_described_and_tried():
    from pathlib import Path

    tried = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [code for code in ReasonCode if f'"{code}"' not in tried] == []


def test_the_task_of_another_team_is_not_found(stranger: Identity, admin: Identity):
    task = make_task("red")
    before = row(task)

    assert refusal(EXPLAIN, stranger, id=str(task.pk)) == ("NOT_FOUND", None)
    assert refusal(EXPLAIN, stranger, id="nonsense") == ("NOT_FOUND", None)
    assert refusal(EXPLAIN, None, id=str(task.pk)) == ("UNAUTHENTICATED", None)
    assert "errors" not in ask(EXPLAIN, identity=admin, id=str(task.pk))
    assert row(task) == before
