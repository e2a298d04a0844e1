"""What `Task.enqueue` makes of a task, and what a result says before it has run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from dtq_site.foundation.errors import BadInput, PayloadTooLarge
from tasks import submission
from tasks.django_tasks import api, declared
from tasks.django_tasks.api import InvalidTask, TaskResultDoesNotExist
from tasks.domain.submission import Request
from tasks.models import Task
from tests.support.factories import make_team

LATER = datetime(2031, 5, 4, 3, 2, 1, 987654, tzinfo=UTC)


@contextmanager
def heard(signal: Any) -> Iterator[list[tuple[type, Any]]]:
    """What is sent by the signal within the block: senders and results."""
    told: list[tuple[type, Any]] = []

    def hear(sender: type, task_result: Any, **_: Any) -> None:
        told.append((sender, task_result))

    signal.connect(hear)
    yield told
    signal.disconnect(hear)


def test_a_task_belongs_to_the_team_of_the_installations_code_and_bears_the_path_of_its_function(shop: Any):
    from tasks.backend import DTQBackend

    with heard(api.task_enqueued) as told:
        result = shop.greet.enqueue("Ann")

    row = Task.objects.select_related("team").get()
    assert (row.team.name, row.user, row.name, row.title) == ("default", None, *[shop.greet.module_path] * 2)
    assert (row.queue, row.priority, row.max_retries, row.payload) == ("mail", 15, 3, {"args": ["Ann"], "kwargs": {}})
    assert (result.id, result.status, result.task, result.backend) == (str(row.pk), "READY", shop.greet, "default")
    assert (result.args, result.kwargs, result.errors, result.worker_ids) == (["Ann"], {}, [], [])
    assert (result.enqueued_at, result.started_at, result.finished_at) == (row.created_at, None, None)
    assert shop.greet.get_result(result.id) == result
    assert told == [(DTQBackend, result)]


def test_every_priority_reads_back_and_a_higher_one_never_goes_after_a_lower_one(shop: Any):
    priorities = [-100, -99, -1, 0, 1, 5, 94, 95, 96, 100]

    results = [shop.add.using(priority=each).enqueue(1) for each in priorities]

    assert [shop.add.get_result(each.id).task.priority for each in results] == priorities
    rows = [Task.objects.get(pk=each.id).priority for each in results]
    assert rows == [-95, -94, 4, 5, 6, 10, 99, 100, 100, 100]


def test_a_priority_that_an_operator_changed_reads_as_it_is_now(shop: Any):
    from tasks import lifecycle

    result = shop.add.using(priority=100).enqueue(1)

    lifecycle.update(result.id, {"priority": 5}, Task.objects.get().created_at)

    assert shop.add.get_result(result.id).task.priority == 0


def test_a_deferred_task_waits_for_its_moment(shop: Any):
    result = shop.add.using(run_after=LATER).enqueue(1)

    row = Task.objects.get()
    assert (row.status, row.scheduled_at) == ("PENDING", LATER)
    assert (result.status, shop.add.get_result(result.id).task.run_after) == ("READY", LATER)


def test_a_rollback_takes_the_task_with_it(shop: Any):
    with transaction.atomic():
        result = shop.add.enqueue(1)
        found = shop.add.get_result(result.id)
        transaction.set_rollback(True)

    assert found == result
    assert not Task.objects.exists()
    with pytest.raises(TaskResultDoesNotExist, match=result.id):
        shop.add.get_result(result.id)


def test_what_json_does_not_have_is_refused_before_anything_is_written(shop: Any):
    for argument, error, said in (
        (LATER, TypeError, "Unsupported type: <class 'datetime.datetime'>"),
        (float("nan"), BadInput, "it contains NaN, which JSON does not have"),
        ({1: 2}, BadInput, "the key 1 is no text"),
        ("x" * 300_000, PayloadTooLarge, "The payload is too large"),
    ):
        with pytest.raises(error, match=said):
            shop.add.enqueue(argument)

    assert not Task.objects.exists()


def test_what_no_row_could_say_is_no_valid_task(shop: Any):
    for change, said in (
        ({"queue_name": "two words"}, "'two words' is no valid name"),
        ({"priority": 101}, "priority must be a whole number between -100 and 100"),
    ):
        with pytest.raises(InvalidTask, match=said):
            shop.add.using(**change)
    with pytest.raises(InvalidTask, match=f"No Task stands under {shop.__name__}.make_late"):
        shop.late.enqueue(1)

    assert not Task.objects.exists()


def test_a_handler_of_another_kind_keeps_its_name(monkeypatch: pytest.MonkeyPatch, shop: Any):
    from tasks.handling import registry

    taken = registry.registered()["send-email"]
    monkeypatch.setattr(registry, "_handlers", {shop.add.module_path: taken})

    with pytest.raises(InvalidTask, match="is the name of another handler"):
        shop.add.using(priority=1)

    assert dict(registry.registered()) == {shop.add.module_path: taken}


def test_there_is_no_result_for_what_is_not_a_task_of_this_kind_and_team(shop: Any):
    ours, others = (submission.Owner(make_team(name).pk, None) for name in ("default", "others"))
    mail = submission.submit_one(Request(name="send-email"), ours)
    foreign = submission.submit_one(Request(name=shop.add.module_path), others)
    added = shop.add.enqueue(1)

    for id_ in ("123", "", "0190c2a0-0000-7000-8000-000000000001", str(mail.pk), str(foreign.pk)):
        with pytest.raises(TaskResultDoesNotExist):
            shop.add.get_result(id_)
    with pytest.raises(Exception, match="Task does not match"):
        shop.greet.get_result(added.id)


def test_a_name_imports_nothing():
    import sys

    assert "this" not in sys.modules
    assert declared.find("this.s") is None
    assert declared.find("os.system") is None
    assert declared.find("") is None
    assert "this" not in sys.modules


def test_a_task_is_found_where_it_was_declared_only(shop: Any):
    assert declared.find(f"{shop.__name__}.add") is shop.add
    assert declared.find(f"{shop.__name__}.close_shop") is None
    assert declared.find(f"{shop.__name__}.late") is None


def test_coroutines_enqueue_and_read_too(shop: Any):
    async def go() -> tuple[Any, Any]:
        result = await shop.greet.aenqueue("Ann")
        found = await shop.greet.aget_result(result.id)
        await result.arefresh()
        return result, found

    result, found = asyncio.run(go())

    assert result == found
    assert str(Task.objects.get().pk) == result.id


def test_a_result_survives_a_move_to_a_queue_that_the_back_end_does_not_have(shop: Any, settings: Any):
    from tasks import lifecycle

    settings.TASKS = {"default": {**settings.TASKS["default"], "QUEUES": ["default"]}}
    result = shop.add.enqueue(1)
    moment = Task.objects.get().created_at + timedelta(seconds=1)

    lifecycle.update(result.id, {"queue": "bulk"}, moment)

    assert shop.add.get_result(result.id).task.queue_name == "bulk"
    with pytest.raises(InvalidTask, match="Queue 'bulk' is not valid for backend"):
        shop.add.using(queue_name="bulk")


def test_cancelled_is_failed_and_says_so(shop: Any):
    from tasks import lifecycle

    result = shop.add.enqueue(1)

    lifecycle.cancel(result.id, Task.objects.get().created_at)

    result.refresh()
    assert (result.status, result.is_finished, result.attempts) == ("FAILED", True, 0)
    assert [error.exception_class_path for error in result.errors] == ["tasks.handling.errors.TaskCancelled"]


def test_the_checks_name_what_is_wrong_with_the_setting(settings: Any):
    options = {"max_retries": -1, "retries": 3}
    settings.TASKS = {"default": settings.TASKS["default"], "odd": {**settings.TASKS["default"], "OPTIONS": options}}

    right, wrong = (list(api.task_backends[alias].check()) for alias in ("default", "odd"))

    assert right == []
    assert [error.id for error in wrong] == ["tasks.E002", "tasks.E003"]
    assert wrong[0].msg == "TASKS['odd'] has an option 'retries'."
    assert wrong[1].msg == "TASKS['odd'] has a bad option: maxRetries must be from 0 to 1000, not -1."
