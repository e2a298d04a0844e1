"""`manage.py enqueue`: what it creates, prints and ends with."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.registration import team_named
from dtq_site.foundation.database import database_clock
from dtq_site.management.commands import enqueue as command
from tasks import audit, lifecycle
from tasks.domain.outcome import OutcomeKind
from tasks.models import Task
from tests.integration.graphql.making import finish, start

pytestmark = pytest.mark.django_db


def enqueue(*arguments: str) -> str:
    written = StringIO()
    call_command("enqueue", *arguments, stdout=written)
    return written.getvalue()


def test_a_task_is_created_in_the_default_team_and_its_id_printed():
    printed = enqueue(
        "send-email", "--payload", '{"email": "a@example.com"}', "--queue", "mail", "--priority", "high",
        "--delay", "60", "--key", "k", "--title", "T",
    )  # fmt: skip

    task = Task.objects.get()
    assert printed == f"{task.pk}\n"
    assert (task.name, task.payload, task.queue) == ("send-email", {"email": "a@example.com"}, "mail")
    assert (task.priority, task.idempotency_key, task.title, task.status) == (10, "k", "T", "PENDING")
    assert (task.team_id, task.user_id) == (team_named("default").pk, None)


def test_the_same_key_prints_the_same_id():
    assert enqueue("n", "--key", "k") == enqueue("n", "--key", "k")
    assert Task.objects.count() == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("n", "--payload", "{oops"), "--payload is no JSON: "),
        (("n", "--payload", "[1]"), "The payload must be an object"),
        (("n", "--payload", '{"a": NaN}'), "The payload cannot be written as JSON"),
        (("no name",), "'no name' is no valid name"),
        (("n", "--priority", "urgent"), "'urgent' is no priority"),
        (("n", "--delay", "-1"), "delaySeconds must be from 0"),
    ],
)
def test_what_is_refused_is_said_in_one_line(arguments: tuple[str, ...], said: str):
    with pytest.raises(CommandError) as refused:
        enqueue(*arguments)

    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)
    assert Task.objects.count() == 0


class Script:
    """Takes the place of waiting: each wait does the next step to the only task."""

    def __init__(self, *steps: Any) -> None:
        self.steps = list(steps)

    def __call__(self, seconds: float) -> None:
        assert seconds > 0
        self.steps.pop(0)(Task.objects.get())


def log(message: str) -> Any:
    def write(task: Task) -> None:
        line = audit.LogLine(task.pk, task.fencing_token, len(message), task.attempts, "info", message)
        audit.record_lines([line], database_clock.now())

    return write


def watched(monkeypatch: pytest.MonkeyPatch, *steps: Any) -> tuple[list[str], int]:
    """The lines after the id, and the exit code."""
    monkeypatch.setattr(command.time, "sleep", Script(*steps))
    written, code = StringIO(), 0
    try:
        call_command("enqueue", "n", "--watch", stdout=written)
    except SystemExit as end:
        code = end.code
    return written.getvalue().splitlines()[1:], code


def test_a_task_is_followed_to_its_end(monkeypatch: pytest.MonkeyPatch):
    lines, code = watched(
        monkeypatch,
        start,
        log("half of it"),
        lambda task: (log("all of it, now")(task), end(task, OutcomeKind.COMPLETED, result={"n": "ü"})),
    )

    assert lines == [
        "QUEUED",
        "PROCESSING, attempt 1",
        "  info: half of it",
        "  info: all of it, now",
        'COMPLETED: {"n": "ü"}',
    ]
    assert code == 0


def end(task: Task, kind: OutcomeKind, **outcome: Any) -> None:
    from tasks.domain.lease import Lease
    from tasks.domain.outcome import Outcome
    from tests.integration.graphql.making import POLICY

    lease = Lease(task.pk, task.fencing_token, task.claim_id)
    lifecycle.settle([Outcome(lease, kind, 0.1, **outcome)], POLICY, lambda: 0.0, database_clock.now())


def test_a_failure_is_told_and_another_attempt_waited_for(monkeypatch: pytest.MonkeyPatch):
    def be_ready(task: Task) -> None:
        lifecycle.promote(task.scheduled_at)

    lines, code = watched(
        monkeypatch,
        lambda task: finish(task, OutcomeKind.FAILED, error="no"),
        be_ready,
        lambda task: finish(task, OutcomeKind.DISCARDED, error="never"),
    )

    assert lines == ["QUEUED", "PENDING: no", "QUEUED: no", "FAILED: never"]
    assert code == 1


def test_a_cancelled_task_ends_the_watch(monkeypatch: pytest.MonkeyPatch):
    lines, code = watched(monkeypatch, lambda task: lifecycle.cancel(task.pk, database_clock.now()))

    assert (lines, code) == (["QUEUED", "CANCELLED"], 1)


def test_a_deleted_task_ends_the_watch(monkeypatch: pytest.MonkeyPatch):
    def delete(task: Task) -> None:
        lifecycle.cancel(task.pk, database_clock.now())
        lifecycle.delete(task.pk, database_clock.now())

    with pytest.raises(CommandError, match=r"^The task was deleted\.$"):
        watched(monkeypatch, delete)


def test_an_interrupt_leaves_the_task_alone(monkeypatch: pytest.MonkeyPatch):
    def interrupt(task: Task) -> None:
        raise KeyboardInterrupt

    lines, code = watched(monkeypatch, interrupt)

    assert (lines, code) == (["QUEUED", "Nobody watches any more; the task goes on."], 130)
    assert Task.objects.get().status == "QUEUED"
