"""What operators do over the API to tasks, queues and schedules is in the audit log; what is refused or only read is not."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.identity import Identity
from accounts.models import AuditEntry
from tasks.models import Task
from tests.integration.graphql.making import data, finish, make_task, refusal, start
from tests.integration.graphql.subjects import a_cancelled_task, a_schedule


@pytest.fixture(autouse=True)
def empty_log(admin: Identity, user: Identity, stranger: Identity) -> None:
    """Forget how the accounts of the test were made."""
    AuditEntry.objects.all().delete()


def entries() -> list[tuple[Any, ...]]:
    return list(AuditEntry.objects.order_by("id").values_list("actor_id", "actor", "action", "target", "facts"))


def test_what_admins_do_to_queues(admin: Identity):
    make_task(queue="mail")

    data('mutation { pauseQueue(name: "mail") { name } }', admin)
    data('mutation { resumeQueue(name: "mail") { name } }', admin)
    data('mutation { updateQueue(name: "mail", input: {weight: 3, ageingSeconds: 60}) { name } }', admin)

    who = (admin.user_id, admin.username)
    assert entries() == [
        (*who, "queue.paused", "queue:mail", {}),
        (*who, "queue.resumed", "queue:mail", {}),
        (*who, "queue.changed", "queue:mail", {"weight": 3, "ageing_seconds": 60}),
    ]


def test_what_is_deleted(admin: Identity, user: Identity):
    task, schedule = finish(make_task()), a_schedule("red")
    AuditEntry.objects.all().delete()

    data("mutation ($id: ID!) { deleteTask(id: $id) }", admin, id=str(task.pk))
    data("mutation ($id: ID!) { deleteSchedule(id: $id) }", user, id=str(schedule.pk))

    assert entries() == [
        (admin.user_id, admin.username, "task.deleted", f"task:{task.pk}", {"name": "send-email"}),
        (user.user_id, user.username, "schedule.deleted", f"schedule:{schedule.pk}", {"name": "daily-report"}),
    ]


def test_what_is_done_to_single_tasks(user: Identity):
    task, held = make_task(), start(make_task())
    Task.objects.filter(pk=held.pk).update(held_until=held.lease_expires_at)
    by_id = "mutation ($id: ID!) {{ {}(id: $id) {{ id }} }}"

    for field, each in [("cancelTask", task), ("cancelTask", task), ("retryTask", task), ("reassignTask", held)]:
        data(by_id.format(field), user, id=str(each.pk))
    assert refusal(by_id.format("retryTask"), user, id=str(task.pk))[0] == "CONFLICT"

    facts = {"name": "send-email"}
    assert entries() == [
        (user.user_id, user.username, "task.cancelled", f"task:{task.pk}", facts),
        (user.user_id, user.username, "task.retried", f"task:{task.pk}", facts),
        (user.user_id, user.username, "task.reassigned", f"task:{held.pk}", facts),
    ]


def test_what_is_done_to_schedules(user: Identity):
    by_id = "mutation ($id: ID!) {{ answer: {}(id: $id) {{ id }} }}"
    changes = {"payload": {"secret": "xyzzy"}, "cronExpression": "0 3 * * *"}

    made = data("mutation ($input: ScheduleInput!) { answer: createSchedule(input: $input) { id } }", user,
                input={"name": "daily-report", "cronExpression": "0 2 * * *"})["answer"]["id"]  # fmt: skip
    change = "mutation ($id: ID!, $input: ScheduleInput!) { updateSchedule(id: $id, input: $input) { id } }"
    data(change, user, id=made, input=changes)
    data(by_id.format("pauseSchedule"), user, id=made)
    data(by_id.format("resumeSchedule"), user, id=made)
    run = data(by_id.format("runScheduleNow"), user, id=made)["answer"]["id"]

    what = (f"schedule:{made}", {"name": "daily-report"})
    fields = {"fields": ["cron_expression", "payload"]}
    assert entries() == [
        (user.user_id, user.username, f"schedule.{done}", what[0], what[1] | facts)
        for done, facts in [
            ("created", {}),
            ("changed", fields),
            ("paused", {}),
            ("resumed", {}),
            ("run", {"task": run}),
        ]
    ]


def test_a_schedule_that_comes_with_a_task_is_audited_too(user: Identity):
    create = "mutation ($input: CreateTaskInput!) { createTask(input: $input) { schedule { id } } }"

    answer = data(create, user, input={"name": "daily-report", "cronExpression": "0 2 * * *"})

    target = f"schedule:{answer['createTask']['schedule']['id']}"
    assert entries() == [(user.user_id, user.username, "schedule.created", target, {"name": "daily-report"})]


def test_what_is_done_to_many_tasks(user: Identity):
    make_task()
    a_cancelled_task("red")
    AuditEntry.objects.all().delete()

    data('mutation { cancelTasks(filter: {name: "send-email"}, dryRun: true) { count } }', user)
    data('mutation { retryTasks(filter: {name: "send-email"}) { count } }', user)
    data('mutation { cancelTasks(filter: {name: "send-email"}) { count } }', user)

    assert [(entry[1], entry[2], entry[4]["count"]) for entry in entries()] == [
        (user.username, "tasks.retried", 1),
        (user.username, "tasks.cancelled", 2),
    ]


def test_what_is_refused_is_not_in_the_log(admin: Identity, user: Identity, stranger: Identity):
    task, schedule = make_task(queue="mail"), a_schedule("red")
    AuditEntry.objects.all().delete()

    refused = [
        refusal('mutation { pauseQueue(name: "mail") { name } }', user),
        refusal('mutation { pauseQueue(name: "nowhere") { name } }', admin),
        refusal('mutation { updateQueue(name: "mail", input: {weight: 0}) { name } }', admin),
        refusal("mutation ($id: ID!) { deleteTask(id: $id) }", admin, id=str(task.pk)),
        refusal("mutation ($id: ID!) { deleteSchedule(id: $id) }", stranger, id=str(schedule.pk)),
        refusal("mutation ($id: ID!) { pauseSchedule(id: $id) { id } }", stranger, id=str(schedule.pk)),
        refusal('mutation { createSchedule(input: {name: "x", cronExpression: "61 * * * *"}) { id } }', user),
    ]

    assert [code for code, _ in refused] == [
        "FORBIDDEN",
        "NOT_FOUND",
        "BAD_USER_INPUT",
        "CONFLICT",
        "NOT_FOUND",
        "NOT_FOUND",
        "BAD_USER_INPUT",
    ]
    assert entries() == []
