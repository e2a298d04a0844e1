"""cancelTasks and retryTasks: what they concern, what is done at once, and how the rest is done afterwards."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from accounts.identity import Identity
from accounts.models import AuditEntry
from dtq_site.foundation.database import database_clock
from tasks import bulk, lifecycle
from tasks.bulk import BulkVerb, Step
from tasks.domain.outcome import OutcomeKind
from tasks.filters import TaskFilter
from tasks.models import BulkRequest, Task
from tests.integration.graphql.making import data, finish, make_task, refusal, row, start

pytestmark = pytest.mark.django_db

ARGUMENTS = "($filter: TaskFilter!, $dryRun: Boolean, $all: Boolean)"
CANCEL = f"mutation {ARGUMENTS} {{ cancelTasks(filter: $filter, dryRun: $dryRun, all: $all) {{ count done }} }}"
RETRY = f"mutation {ARGUMENTS} {{ retryTasks(filter: $filter, dryRun: $dryRun, all: $all) {{ count done }} }}"


def cancel(identity: Identity, **variables: Any) -> tuple[int, int]:
    answer = data(CANCEL, identity, **variables)["cancelTasks"]
    return answer["count"], answer["done"]


def retry(identity: Identity, **variables: Any) -> tuple[int, int]:
    answer = data(RETRY, identity, **variables)["retryTasks"]
    return answer["count"], answer["done"]


def dead_letter(team: str = "red", error: str = "broke", **request: Any) -> Task:
    return finish(make_task(team, max_retries=0, **request), OutcomeKind.FAILED, error=error)


def status(task: Task) -> str:
    return Task.objects.values_list("status", flat=True).get(pk=task.pk)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request of more than two tasks is kept."""
    monkeypatch.setattr(bulk, "CHUNK", 2)


def test_what_has_not_ended_is_cancelled(user: Identity):
    waiting, ready, running = make_task(delay_seconds=60), make_task(), start(make_task())
    ended = [finish(make_task()), finish(make_task(), OutcomeKind.DISCARDED, error="no"), dead_letter()]
    before = [row(task) for task in ended]

    assert cancel(user, filter={}, all=True) == (3, 3)

    assert {status(task) for task in (waiting, ready, running)} == {"CANCELLED"}
    assert Task.objects.get(pk=running.pk).lease_owner == running.lease_owner  # until its worker acknowledges
    assert [row(task) for task in ended] == before


def test_what_did_not_succeed_is_retried(user: Identity):
    cancelled = make_task()
    lifecycle.cancel(cancelled.pk, database_clock.now())
    failed = [cancelled, finish(make_task(), OutcomeKind.DISCARDED, error="no"), dead_letter()]
    others = [make_task(), make_task(delay_seconds=60), start(make_task()), finish(make_task())]
    before = [row(task) for task in others]

    assert retry(user, filter={}, all=True) == (3, 3)

    for task in failed:
        now = Task.objects.get(pk=task.pk)
        assert (now.status, now.error, now.completed_at, now.earlier_attempts) == ("QUEUED", "", None, now.attempts)
    assert [row(task) for task in others] == before


def test_a_filter_chooses(user: Identity):
    chosen = dead_letter(error="ConnectionRefused: host", queue="mail")
    others = [dead_letter(error="ConnectionRefused: host"), dead_letter(error="no", queue="mail")]
    before = [row(task) for task in others]
    wanted = {"status": ["DEAD_LETTER", "COMPLETED"], "queue": "mail", "error": "connectionrefused"}

    assert retry(user, filter=wanted, dryRun=True) == (1, 0)
    assert status(chosen) == "DEAD_LETTER"
    assert retry(user, filter=wanted) == (1, 1)

    assert status(chosen) == "QUEUED"
    assert [row(task) for task in others] == before


def test_a_state_that_cannot_match_matches_nothing(user: Identity):
    ended, ready = finish(make_task()), make_task()

    assert cancel(user, filter={"status": "COMPLETED"}) == (0, 0)
    assert retry(user, filter={"status": ["QUEUED", "COMPLETED"]}) == (0, 0)
    assert (status(ended), status(ready)) == ("COMPLETED", "QUEUED")


@pytest.mark.parametrize("query", [CANCEL, RETRY])
@pytest.mark.parametrize("filter", [{}, {"queue": None}])
def test_an_empty_filter_must_be_meant(admin: Identity, query: str, filter: dict):
    ready, ended = make_task(), dead_letter()
    before = row(ready), row(ended)

    for variables in ({}, {"dryRun": True}, {"all": False}, {"all": None}):
        assert refusal(query, admin, filter=filter, **variables) == ("BAD_USER_INPUT", "filter")
    assert (row(ready), row(ended)) == before


def test_users_reach_their_own_team_and_admins_all(user: Identity, stranger: Identity, admin: Identity):
    red, blue = make_task("red", queue="mail"), make_task("blue", queue="mail")
    before = row(blue)

    assert cancel(user, filter={"teamId": str(stranger.team_id)}) == (0, 0)
    assert cancel(user, filter={"ids": [str(red.pk), str(blue.pk)]}) == (1, 1)
    assert (status(red), row(blue)) == ("CANCELLED", before)
    assert retry(admin, filter={"teamId": str(user.team_id)}) == (1, 1)
    assert cancel(admin, filter={"queue": "mail"}) == (2, 2)
    assert (status(red), status(blue)) == ("CANCELLED", "CANCELLED")


@pytest.mark.parametrize("query", [CANCEL, RETRY])
def test_nobody_else_does(viewer: Identity, worker_account: Identity, query: str):
    ready, ended = make_task(), dead_letter()
    before = row(ready), row(ended)

    for who in (viewer, worker_account):
        assert refusal(query, who, filter={}, all=True) == ("FORBIDDEN", None)
    assert refusal(query, None, filter={}, all=True) == ("UNAUTHENTICATED", None)
    assert (row(ready), row(ended)) == before


def test_it_is_audited_and_a_dry_run_is_not(user: Identity):
    make_task(queue="mail")

    cancel(user, filter={"queue": "mail"}, dryRun=True)
    assert not AuditEntry.objects.filter(action="tasks.cancelled").exists()
    cancel(user, filter={"queue": "mail"})

    entry = AuditEntry.objects.get(action="tasks.cancelled")
    assert (entry.actor, entry.target, entry.facts["count"]) == (user.username, "tasks", 1)
    assert (entry.facts["filter"]["queue"], entry.facts["filter"]["team_id"]) == ("mail", str(user.team_id))


# --- many tasks ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_chunks")
def test_many_are_done_afterwards_chunk_by_chunk(user: Identity):
    tasks = [make_task(queue="mail") for _ in range(5)]
    other = make_task(queue="art")

    assert cancel(user, filter={"queue": "mail"}, dryRun=True) == (5, 0)
    assert not BulkRequest.objects.exists()
    assert cancel(user, filter={"queue": "mail"}) == (5, 0)
    assert {status(task) for task in tasks} == {"QUEUED"}

    (kept,) = bulk.unfinished()
    now = database_clock.now()
    for step, done in ((1, 2), (2, 4)):
        assert bulk.advance(kept, now) == Step(BulkVerb.CANCEL, done, finished=False)
        assert [status(task) for task in tasks] == ["CANCELLED"] * 2 * step + ["QUEUED"] * (5 - 2 * step)
    assert bulk.advance(kept, now) == Step(BulkVerb.CANCEL, 5, finished=True)

    assert {status(task) for task in tasks} == {"CANCELLED"}
    assert status(other) == "QUEUED"
    assert (bulk.unfinished(), bulk.advance(kept, now)) == ([], None)


@pytest.mark.usefixtures("small_chunks")
def test_what_has_changed_meanwhile_is_left_alone(user: Identity):
    first, moved, fifth = make_task(queue="mail"), make_task(queue="mail"), make_task(queue="mail")
    cancel(user, filter={"queue": "mail"})
    (kept,) = bulk.unfinished()
    lifecycle.update(moved.pk, {"queue": "art"}, database_clock.now())
    late = make_task(queue="mail")

    while (step := bulk.advance(kept, database_clock.now())) and not step.finished:
        pass

    assert [status(task) for task in (first, moved, fifth, late)] == ["CANCELLED", "QUEUED", "CANCELLED", "QUEUED"]


@pytest.mark.usefixtures("small_chunks")
def test_what_failed_again_after_the_request_is_not_retried_again(user: Identity):
    tasks = [dead_letter() for _ in range(3)]
    retry(user, filter={"status": "DEAD_LETTER"})
    (kept,) = bulk.unfinished()
    again = tasks[2]
    lifecycle.retry(again.pk, database_clock.now())
    finish(Task.objects.get(pk=again.pk), OutcomeKind.DISCARDED, error="again")
    before = row(again)

    while (step := bulk.advance(kept, database_clock.now())) and not step.finished:
        pass

    assert [status(task) for task in tasks[:2]] == ["QUEUED", "QUEUED"]
    assert row(again) == before


@pytest.mark.usefixtures("small_chunks")
def test_a_kept_request_finds_text_in_all_its_tasks(user: Identity):
    tasks = [make_task(title="Needle" if number % 3 == 0 else "Hay") for number in range(7)]

    assert cancel(user, filter={"search": "needle"}) == (3, 0)
    (kept,) = bulk.unfinished()
    steps = 0
    while (step := bulk.advance(kept, database_clock.now())) and not step.finished:
        steps += 1

    assert step == Step(BulkVerb.CANCEL, 3, finished=True)
    assert steps == 3
    assert [status(task) for task in tasks] == [
        "CANCELLED" if number % 3 == 0 else "QUEUED" for number in range(len(tasks))
    ]


def test_a_filter_is_kept_as_it_was():
    now = database_clock.now()
    wanted = TaskFilter(
        ids=[uuid4()],
        status=frozenset({"QUEUED"}),
        name="n",
        queue="q",
        priority=3,
        team_id=uuid4(),
        schedule_id=uuid4(),
        worker_id=uuid4(),
        created_after=now,
        created_before=now + timedelta(1),
        search="s",
        error="e",
    )
    from tasks.filters import from_json, to_json

    assert from_json(to_json(wanted)).condition() == wanted.condition()
    assert to_json(TaskFilter()) == {}


def test_waiting_for_a_lock_ends_with_cancelling_and_the_next_has_its_turn(user: Identity):
    from tasks.models import LockWaiter, NamedLock

    now = database_clock.now()
    holder, *others = (make_task(queue="mail", title=title) for title in ("holder", "first", "second", "third"))
    Task.objects.update(lock="door")
    holder = start(holder)
    waiting = [task for task in others if not _won(task)]
    assert [task.pk for task in waiting] == [waiter.task_id for waiter in LockWaiter.objects.order_by("rank")]

    assert cancel(user, filter={"search": "first"}) == (1, 1)
    assert LockWaiter.objects.count() == 2
    lifecycle.release([_lease(holder)], now)  # wakes the next
    woken = Task.objects.get(title="second")
    assert (woken.status, NamedLock.objects.get().holder_id) == ("QUEUED", None)

    assert cancel(user, filter={"search": "second"}) == (1, 1)

    assert status(others[2]) == "QUEUED"
    assert not LockWaiter.objects.exists()


def _won(task: Task) -> bool:
    from tasks.lifecycle import Claim

    claim = Claim(uuid4(), uuid4(), timedelta(minutes=1))
    return bool(lifecycle.claim([task.pk], task.queue, [task.name], claim, database_clock.now()))


def _lease(task: Task) -> Any:
    from tasks.domain.lease import Lease

    return Lease(task.pk, task.fencing_token, task.claim_id)
