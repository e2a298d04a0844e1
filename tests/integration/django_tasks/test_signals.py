"""What the receivers of the signals of django.tasks are told by a worker, and what they can not do to it."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tasks import Discard, Retry
from tasks.backend import DTQBackend
from tasks.django_tasks import api
from tasks.django_tasks.running import Execution
from tasks.models import Task
from tests.support import factories
from tests.support.handlers import RecordingSink, make_context


@pytest.fixture
def told() -> Any:
    """What is sent: the signal, the status at that moment, and whether an exception was being handled."""
    heard: list[tuple[str, str, bool]] = []

    def hear(name: str) -> Any:
        def receive(sender: type, task_result: Any, **_: Any) -> None:
            assert sender is DTQBackend
            heard.append((name, str(task_result.status), sys.exc_info()[0] is not None))

        return receive

    receivers = {name: hear(name) for name in ("task_started", "task_finished")}
    for name, receive in receivers.items():
        getattr(api, name).connect(receive)
    yield heard
    for name, receive in receivers.items():
        getattr(api, name).disconnect(receive)


def execute(result: Any) -> Execution:
    """A worker's attempt at the task."""
    row = Task.objects.get(pk=result.id)
    factories.claim([row], row.created_at)
    return Execution(make_context(RecordingSink(), task_id=result.id))


def test_they_are_told_of_the_start_and_of_the_end(shop: Any, told: Any):
    execution = execute(shop.add.enqueue(1, right=2))

    assert told == [("task_started", "RUNNING", False)]
    assert execution.succeed(execution.call()) == 3
    assert told[1:] == [("task_finished", "SUCCESSFUL", False)]


def test_of_a_failure_they_are_told_while_it_is_handled(shop: Any, told: Any):
    execution = execute(shop.break_down.enqueue("gone"))

    try:
        execution.call()
    except LookupError as error:
        raised = execution.fail(error)

    assert isinstance(raised, Discard)
    assert str(raised).startswith("builtins.LookupError: gone\n\nTraceback (most recent call last):\n")
    assert told == [("task_started", "RUNNING", False), ("task_finished", "FAILED", True)]


def test_of_a_failure_that_another_attempt_follows_they_are_not_told(shop: Any, told: Any):
    execution = execute(shop.break_down.using(backend="patient").enqueue("gone"))

    raised = execution.fail(LookupError("gone"))

    assert isinstance(raised, Retry)
    assert told == [("task_started", "RUNNING", False)]


def test_a_receiver_that_breaks_breaks_no_attempt(shop: Any, caplog: pytest.LogCaptureFixture):
    def receive(**_: Any) -> None:
        raise RuntimeError("a bad receiver")

    api.task_finished.connect(receive)
    execution = execute(shop.add.enqueue(1))

    returned = execution.succeed(execution.call())

    api.task_finished.disconnect(receive)
    assert returned == 1
    assert "a bad receiver" in caplog.text
