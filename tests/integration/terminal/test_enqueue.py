"""`manage.py enqueue`: what it creates, prints and ends with."""

from __future__ import annotations

import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError

from accounts.registration import team_named
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.scalars import DateTime
from dtq_site.terminal import following
from tasks import audit, lifecycle
from tasks.domain.lease import Lease
from tasks.domain.outcome import Outcome, OutcomeKind
from tasks.models import Task
from tests.integration.graphql.making import POLICY, finish, make_worker, start
from tests.integration.terminal.commanding import Ran, run

pytestmark = pytest.mark.django_db


def enqueue(*arguments: str) -> Ran:
    return run("enqueue", *arguments)


def test_a_task_is_created_in_the_default_team_and_its_id_printed():
    ran = enqueue(
        "send-email", "--payload", '{"email": "a@example.com"}', "--queue", "mail", "--priority", "high",
        "--delay", "1m", "--key", "k", "--title", "T", "--description", "D", "--max-retries", "7", "--timeout", "2h",
    )  # fmt: skip

    task = Task.objects.get()
    assert (ran.code, ran.out, ran.err) == (0, f"{task.pk}\n", "")
    assert (task.name, task.payload, task.queue) == ("send-email", {"email": "a@example.com"}, "mail")
    assert (task.priority, task.idempotency_key, task.title, task.status) == (10, "k", "T", "PENDING")
    assert (task.description, task.max_retries, task.timeout_seconds) == ("D", 7, 7200)
    assert (task.scheduled_at - task.created_at).total_seconds() == 60
    assert (task.team_id, task.user_id) == (team_named("default").pk, None)


def test_a_moment_and_a_task_to_wait_for_can_be_named():
    first = enqueue("send-email").out.strip()
    enqueue("send-email", "--at", "2031-01-31T09:00+02:00", "--after", first)

    task = Task.objects.order_by("id").last()
    assert DateTime.serialize(task.scheduled_at) == "2031-01-31T07:00:00.000000Z"
    assert (task.status, task.hold) == ("PENDING", "parents")


def test_the_same_key_prints_the_same_id():
    assert enqueue("send-email", "--key", "k") == enqueue("send-email", "--key", "k")
    assert Task.objects.count() == 1


def test_a_payload_comes_from_a_file_or_from_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "payload.json").write_text('{"from": "Füller"}', "utf-8")
    monkeypatch.setattr(sys, "stdin", StringIO('{"from": "pipe"}'))

    enqueue("send-email", "--payload", f"@{tmp_path}/payload.json")
    enqueue("send-email", "--payload", "-")

    assert list(Task.objects.order_by("id").values_list("payload", flat=True)) == [{"from": "Füller"}, {"from": "pipe"}]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("send-email", "--payload", '{"a": 1,\n "b"}'),
            "--payload is no JSON: Expecting ':' delimiter: line 2 column 5",
        ),
        (("send-email", "--payload", "@/no/such/file"), "/no/such/file cannot be read: "),
        (("send-email", "--payload", "[1]"), "The payload must be an object"),
        (("send-email", "--payload", '{"a": NaN}'), "The payload cannot be written as JSON"),
        (("send-email", "--payload", "[" * 100_000), "--payload is no JSON: "),
        (("no name",), "'no name' is no valid name"),
        (("sned-email",), "Nobody knows a handler 'sned-email'. Did you mean 'send-email'?"),
        (("send-email", "--priority", "urgent"), "'urgent' is no priority"),
        (("send-email", "--delay", "-1"), "delaySeconds must be from 0"),
        (("send-email", "--delay", "soon"), "Error: argument --delay: 'soon' is no length of time"),
        (("send-email", "--at", "soon"), "Error: argument --at: Write a moment in ISO 8601"),
        (("send-email", "--after", "nothing"), "dependsOn"),
    ],
)
def test_what_is_refused_is_said_in_one_line(arguments: tuple[str, ...], said: str):
    ran = enqueue(*arguments)

    assert ran.err.startswith(said)
    assert ran.err.count("\n") == 1
    assert ran.out == ""
    assert ran.code != 0
    assert Task.objects.count() == 0


def test_a_refusal_ends_with_two():
    assert enqueue("sned-email").code == 2


def test_a_name_that_a_worker_announced_is_known_and_it_is_said_if_none_is_online_now():
    make_worker(handlers=("stamp",))
    assert enqueue("stamp").err == ""

    assert enqueue("stmp").code == 2
    ran = enqueue("stmp", "--any-name")

    assert (ran.code, Task.objects.filter(name="stmp").count()) == (0, 1)
    assert ran.err == "No online worker knows the handler 'stmp'; the task waits for one that does.\n"


class Script:
    """Takes the place of waiting: each wait does the next step to the only task."""

    def __init__(self, *steps: Callable[[Task], Any]) -> None:
        self.steps = list(steps)

    def __call__(self, seconds: float) -> None:
        assert seconds > 0
        self.steps.pop(0)(Task.objects.get())


def log(message: str) -> Callable[[Task], None]:
    def write(task: Task) -> None:
        line = audit.LogLine(task.pk, task.fencing_token, len(message), task.attempts, "info", message)
        audit.record_lines([line], database_clock.now())

    return write


def progress(per_cent: int) -> Callable[[Task], None]:
    return lambda task: lifecycle.note_progress({lease_of(task): per_cent}, database_clock.now())


def lease_of(task: Task) -> Lease:
    return Lease(task.pk, task.fencing_token, task.claim_id)


def end(task: Task, kind: OutcomeKind, **outcome: Any) -> None:
    lifecycle.settle([Outcome(lease_of(task), kind, 0.1, **outcome)], POLICY, lambda: 0.0, database_clock.now())


def watched(monkeypatch: pytest.MonkeyPatch, *steps: Callable[[Task], Any]) -> Ran:
    monkeypatch.setattr(following.time, "sleep", Script(*steps))
    return enqueue("send-email", "--watch")


def test_a_task_is_followed_to_its_end(monkeypatch: pytest.MonkeyPatch):
    ran = watched(
        monkeypatch,
        start,
        log("half of it \x1b[2J"),
        progress(50),
        lambda task: (log("all of it, now")(task), end(task, OutcomeKind.COMPLETED, result={"n": "ü"})),
    )

    assert ran.lines[1:] == [
        "QUEUED",
        "PROCESSING, attempt 1",
        "  info: half of it \\u001b[2J",
        "  50 %",
        "  info: all of it, now",
        'COMPLETED: {"n": "ü"}',
    ]
    assert ran.code == 0


def test_a_failure_is_told_and_another_attempt_waited_for(monkeypatch: pytest.MonkeyPatch):
    def be_ready(task: Task) -> None:
        lifecycle.promote(task.scheduled_at)

    ran = watched(
        monkeypatch,
        lambda task: finish(task, OutcomeKind.FAILED, error="no"),
        be_ready,
        lambda task: finish(task, OutcomeKind.DISCARDED, error="never"),
    )

    assert ran.lines[1:] == ["QUEUED", "PENDING: no", "QUEUED: no", "FAILED: never"]
    assert ran.code == 1


def test_a_cancelled_task_ends_the_watch(monkeypatch: pytest.MonkeyPatch):
    ran = watched(monkeypatch, lambda task: lifecycle.cancel(task.pk, database_clock.now()))

    assert (ran.lines[1:], ran.code) == (["QUEUED", "CANCELLED"], 1)


def test_a_deleted_task_ends_the_watch(monkeypatch: pytest.MonkeyPatch):
    def delete(task: Task) -> None:
        lifecycle.cancel(task.pk, database_clock.now())
        lifecycle.delete(task.pk, database_clock.now())

    ran = watched(monkeypatch, delete)

    assert (ran.err, ran.code) == ("The task was deleted.\n", 3)


def test_an_interrupt_leaves_the_task_alone(monkeypatch: pytest.MonkeyPatch):
    def interrupt(task: Task) -> None:
        raise KeyboardInterrupt

    ran = watched(monkeypatch, interrupt)

    task = Task.objects.get()
    assert (ran.lines[1:], ran.code, task.status) == (["QUEUED"], 130, "QUEUED")
    assert ran.err == f"Nobody watches any more; the task goes on: manage.py tasks show {task.pk}\n"


class Interrupted(StringIO):
    """A standard input at which somebody presses Ctrl-C."""

    def read(self, size: int | None = -1) -> str:
        raise KeyboardInterrupt


def test_an_interrupt_before_the_payload_is_there_creates_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", Interrupted())

    assert enqueue("send-email", "--payload", "-") == Ran(130, "", "")
    assert Task.objects.count() == 0


class Broken:
    """Takes the place of reading log lines while the database is away."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.read = following.selectors.log_lines_after

    def __call__(self, *args: Any) -> Any:
        if self.errors:
            raise self.errors.pop(0)
        return self.read(*args)


def test_who_watches_waits_for_the_database_to_come_back(monkeypatch: pytest.MonkeyPatch):
    away = OperationalError(2002, "Can't connect")
    monkeypatch.setattr(following.selectors, "log_lines_after", Broken(away, away))
    monkeypatch.setattr(following, "give_up", lambda connection: None)  # it has the test's transaction

    ran = watched(monkeypatch, lambda task: None, lambda task: None, finish)

    assert ran.lines[1:] == ["The database is away; waiting for it.", "QUEUED", "COMPLETED: null"]
    assert ran.code == 0


def test_a_database_that_refuses_ends_the_watch_with_a_code_of_its_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(following.selectors, "log_lines_after", Broken(OperationalError(1146, "No such table\nat all")))

    ran = watched(monkeypatch)

    assert (ran.err, ran.code) == ("Nobody can watch any more: No such table. The task goes on.\n", 3)
