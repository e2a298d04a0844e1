"""Creation: which state a new task gets, and its columns."""

from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from dtq_site.foundation import statements
from dtq_site.foundation.clock import milliseconds
from tasks import lifecycle, metrics, queues
from tasks.domain.priority import rank
from tasks.domain.states import Hold, TaskStatus
from tasks.lifecycle import insertion
from tasks.models import Queue, Task
from tests.support.factories import START, after, create, make_team, make_user, new_task, reread, row


def test_a_task_without_a_due_moment_is_queued_at_once():
    user = make_user()
    task = create(user=user, team=user.team, priority=10, payload={"x": [1, None, "ü"]})

    kept = row(task)
    assert {key: kept[key] for key in ("status", "hold", "queued_at", "scheduled_at", "created_at", "updated_at")} == {
        "status": TaskStatus.QUEUED,
        "hold": Hold.NONE,
        "queued_at": START,
        "scheduled_at": None,
        "created_at": START,
        "updated_at": START,
    }
    assert (kept["rank"], kept["version"]) == (rank(10, milliseconds(START)), 1)
    assert (kept["team_id"], kept["user_id"], kept["payload"]) == (user.team_id, user.pk, {"x": [1, None, "ü"]})
    assert (kept["attempts"], kept["fencing_token"], kept["settled_token"], kept["claim_id"]) == (0, 0, 0, None)


def test_one_that_is_due_later_is_pending_with_the_rank_of_that_moment():
    task = reread(create(scheduled_at=after(60)))

    assert (task.status, task.hold, task.queued_at) == (TaskStatus.PENDING, Hold.DUE, None)
    assert (task.scheduled_at, task.rank) == (after(60), rank(5, milliseconds(after(60))))


@pytest.mark.parametrize("seconds", [0, -60])
def test_a_due_moment_that_has_come_is_at_once_and_buys_no_place(seconds):
    task = reread(create(scheduled_at=after(seconds)))

    assert (task.status, task.queued_at, task.scheduled_at) == (TaskStatus.QUEUED, START, after(seconds))
    assert task.rank == rank(5, milliseconds(START))


def test_the_occurrence_of_a_schedule_is_pending_even_when_it_is_due():
    task = reread(create(scheduled_at=START, hold=Hold.SCHEDULE))

    assert (task.status, task.hold) == (TaskStatus.PENDING, Hold.SCHEDULE)


def test_ids_increase_in_the_order_of_the_batch():
    tasks = lifecycle.create([new_task(title=str(n)) for n in range(1200)], START)

    assert [task.title for task in Task.objects.order_by("id")] == [str(n) for n in range(1200)]
    assert [task.title for task in tasks] == [str(n) for n in range(1200)]


def test_a_queue_comes_into_being_with_its_first_task():
    create(queue="images")

    assert Queue.objects.filter(name="images", paused=False, created_at=START).exists()


def test_a_used_key_is_refused_and_nothing_of_the_batch_is_kept():
    first = create(idempotency_key="k")

    with pytest.raises(IntegrityError):
        lifecycle.create([new_task(), new_task(idempotency_key="k"), new_task()], START)

    assert list(Task.objects.all()) == [first]


def test_keys_are_compared_byte_by_byte_and_within_a_team():
    create(idempotency_key="k")

    for other in ("K", "k ", "ḱ"):
        create(idempotency_key=other)
    create(idempotency_key="k", team=make_team("another"))

    assert Task.objects.count() == 5


@pytest.mark.parametrize("moment", [datetime(1, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, tzinfo=UTC)])
def test_any_moment_of_the_past_can_be_kept(moment):
    task = reread(create(scheduled_at=moment))

    assert (task.status, task.scheduled_at) == (TaskStatus.QUEUED, moment)


def test_any_text_can_be_kept():
    text = "a\0b 🌿 \u202e 'quoted' \\ %s"

    task = reread(create(title=text, description=text, payload={text: text}, idempotency_key=text))

    assert (task.title, task.description, task.payload, task.idempotency_key) == (text, text, {text: text}, text)


def test_a_task_is_returned_as_it_is_read_later():
    made = create(user=make_user(), description="ü", scheduled_at=after(60), idempotency_key="k", payload={"x": None})

    kept = row(made)
    assert {name: getattr(made, name) for name in kept} == kept
    assert kept.keys() == {field.attname for field in Task._meta.concrete_fields}
    assert not made._state.adding


def test_a_creation_costs_the_database_one_round_trip_and_redis_another(redis_server, monkeypatch):
    monkeypatch.setattr(queues, "REMEMBERED_SECONDS", 1000)
    create()  # connects, and finds the queue
    new = new_task()
    redis_server.config_resetstat()

    with CaptureQueriesContext(connection) as asked:
        lifecycle.create([new], START)

    scripts = redis_server.info("commandstats")["cmdstat_evalsha"]["calls"]
    assert scripts == 1
    if connection.vendor == "mysql":
        assert len(asked) == 1


def test_a_refused_creation_leaves_no_queue_and_no_count_and_the_next_one_works():
    create(idempotency_key="k")
    before = metrics.sums()

    for queue in ("default", "new"):
        with pytest.raises(IntegrityError):
            create(idempotency_key="k", queue=queue)

    assert metrics.sums() == before
    assert not Queue.objects.filter(name="new").exists()
    create()
    assert (Task.objects.count(), metrics.sums()[metrics.CREATED, "NORMAL"]) == (2, 2)


def test_of_none_none_are_made():
    assert lifecycle.create([], START) == []
    assert metrics.sums() == {}


@pytest.mark.parametrize("statement_bytes", [1, 3000])
def test_what_takes_several_statements_is_all_or_none_as_well(monkeypatch, statement_bytes):
    for module in (insertion, statements):
        monkeypatch.setattr(module, "STATEMENT_BYTES", statement_bytes)
    create(idempotency_key="k")
    fresh = [new_task(title=str(n)) for n in range(30)]

    with pytest.raises(IntegrityError):
        lifecycle.create([*fresh, new_task(idempotency_key="k")], START)
    assert Task.objects.count() == 1

    lifecycle.create(fresh, START)
    assert [task.title for task in Task.objects.order_by("id")][1:] == [str(n) for n in range(30)]
    assert metrics.sums()[metrics.CREATED, "NORMAL"] == 31


def test_large_payloads_are_inserted_a_few_at_a_time():
    payloads = [{"n": n, "text": "x" * 250_000} for n in range(80)]

    with CaptureQueriesContext(connection) as queries:
        lifecycle.create([new_task(payload=payload) for payload in payloads], START)

    inserts = [len(query["sql"]) for query in queries if query["sql"].startswith("INSERT INTO")]
    assert max(inserts) < 5_000_000
    assert [task.payload for task in Task.objects.order_by("id")] == payloads
