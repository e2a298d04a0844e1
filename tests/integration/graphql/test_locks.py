"""Locks by the API: a handler's template, as a worker announced it, names the lock of each task that is made or changed."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from accounts.identity import Identity
from dtq_site.foundation.database import database_clock
from scheduling import schedules
from scheduling.models import Schedule
from tasks.domain.states import Hold
from tasks.models import Task
from tests.integration.graphql.making import data, make_task, refusal, row, start
from tests.support.factories import forget_what_processes_remember
from workers import presence
from workers.domain.card import WorkerCard

pytestmark = pytest.mark.django_db

CREATE = "mutation ($input: CreateTaskInput!) { createTask(input: $input) { id status } }"
CREATE_MANY = "mutation ($inputs: [CreateTaskInput!]!) { createTasks(inputs: $inputs) { id } }"
UPDATE = "mutation ($id: ID!, $input: UpdateTaskInput!) { updateTask(id: $id, input: $input) { status } }"


@pytest.fixture(autouse=True)
def announced(db: None) -> None:
    """A worker has announced a handler with a lock, of which this process knows nothing."""
    declared = {"report": {"lock": "report:{account}"}}
    card = WorkerCard(uuid4(), "w", "host", 1, (), declared, 5, "direct", "1")
    presence.sign_on(card, database_clock.now())
    forget_what_processes_remember()
    yield
    forget_what_processes_remember()


def create(identity: Identity, **input: Any) -> Task:
    return Task.objects.get(pk=data(CREATE, identity, input={"name": "report", **input})["createTask"]["id"])


def test_the_payload_names_the_lock(user: Identity):
    assert create(user, payload={"account": "ann"}).lock == "report:ann"
    assert create(user, name="other", payload={"account": "ann"}).lock is None


def test_a_payload_that_cannot_is_refused_naming_its_key_and_nothing_is_written(user: Identity):
    good = {"name": "report", "payload": {"account": "ann"}}
    bad = {"name": "report", "payload": {"account": None}}

    assert refusal(CREATE, user, input=bad) == ("BAD_USER_INPUT", "input.payload.account")
    assert refusal(CREATE, user, input={"name": "report"}) == ("BAD_USER_INPUT", "input.payload.account")
    assert refusal(CREATE_MANY, user, inputs=[good, bad]) == ("BAD_USER_INPUT", "inputs[1].payload.account")
    assert Task.objects.count() == 0


def test_another_payload_names_another_lock(user: Identity):
    task = create(user, payload={"account": "ann"})

    data(UPDATE, user, id=str(task.pk), input={"payload": {"account": "bob"}})
    data(UPDATE, user, id=str(task.pk), input={"title": "Bob's"})

    assert Task.objects.values_list("lock", "title").get() == ("report:bob", "Bob's")


def test_a_change_that_would_leave_the_task_without_its_lock_is_refused(user: Identity):
    task = create(user, payload={"account": "ann"})
    before = row(task)

    answer = refusal(UPDATE, user, id=str(task.pk), input={"payload": {"day": 1}})

    assert answer == ("BAD_USER_INPUT", "input.payload.account")
    assert row(task) == before


def test_one_that_waits_and_is_changed_to_another_lock_is_ready_again(user: Identity):
    start(create(user, payload={"account": "ann"}))
    waiting = create(user, payload={"account": "ann"})
    with pytest.raises(ValueError, match="not enough values"):
        start(waiting)
    assert Task.objects.get(pk=waiting.pk).hold == Hold.LOCK

    assert data(UPDATE, user, id=str(waiting.pk), input={"payload": {"account": "bob"}})["updateTask"] == {
        "status": "QUEUED"
    }
    assert start(waiting).lock == "report:bob"


def test_a_task_of_an_unknown_handler_keeps_the_lock_that_it_has(user: Identity):
    task = make_task(name="unknown")
    Task.objects.filter(pk=task.pk).update(lock="kept")

    data(UPDATE, user, id=str(task.pk), input={"payload": {"a": 1}})

    assert Task.objects.get(pk=task.pk).lock == "kept"


def test_every_occurrence_of_a_schedule_has_its_lock(user: Identity):
    first = create(user, payload={"account": "ann"}, cronExpression="0 * * * *")
    schedule = Schedule.objects.get()
    assert schedule.next_due is not None

    assert schedules.fire(schedule.pk, schedule.next_due)

    occurrences = Task.objects.filter(schedule_id=schedule.pk)
    assert set(occurrences.values_list("lock", flat=True)) == {"report:ann"}
    assert occurrences.exclude(pk=first.pk).count() == 1


def test_a_schedule_whose_payload_cannot_name_the_lock_is_refused(user: Identity):
    answer = refusal(CREATE, user, input={"name": "report", "cronExpression": "0 * * * *"})

    assert answer == ("BAD_USER_INPUT", "input.payload.account")
    assert (Schedule.objects.count(), Task.objects.count()) == (0, 0)
