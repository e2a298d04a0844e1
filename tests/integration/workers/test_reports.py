"""Reports at the workers' door: no outcome holds up another, whatever it brings."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import DataError

from tasks import lifecycle
from tasks.audit import LogLine
from tasks.domain.outcome import OutcomeVerdict
from tasks.domain.states import TaskStatus
from tasks.models import Task, TaskLog
from tests.support.factories import ManualClock, after, claimed, completed, failed, lease_of, reread
from workers import gateway

CLOCK = ManualClock(after(60))


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (float("nan"), "it contains nan, which JSON does not have"),
        ({1: 2}, "the key 1 is no text"),
        ("x" * 300_000, "it takes 300,002 bytes as JSON"),
        ("\ud800", "half of a surrogate pair"),
        (object(), "an object of type object"),
    ],
    ids=["nan", "key", "size", "surrogate", "object"],
)
def test_a_result_that_cannot_be_stored_fails_its_own_task_only(result, reason):
    bad, good = claimed(), claimed()

    verdicts = gateway.report([completed(lease_of(bad), result), completed(lease_of(good), "fine")], CLOCK)

    assert set(verdicts.values()) == {OutcomeVerdict.ACCEPTED}
    kept = reread(bad)
    assert (kept.status, kept.result) == (TaskStatus.FAILED, None)
    assert kept.error.startswith("result cannot be stored: ") and reason in kept.error
    assert (reread(good).status, reread(good).result) == (TaskStatus.COMPLETED, "fine")


def test_an_error_text_with_half_characters_costs_no_retry():
    task = claimed()

    gateway.report([failed(lease_of(task), "no such file: 'x\udcff'")], CLOCK)

    assert (reread(task).status, reread(task).error) == (TaskStatus.PENDING, "no such file: 'x\\udcff'")


def test_a_batch_that_the_database_refuses_is_halved_until_the_culprit_stands_alone(monkeypatch):
    tasks = [claimed() for _ in range(9)]
    culprit = tasks[5]
    sizes = []
    settle = lifecycle.settle

    def refusing(outcomes: Any, *rest: Any) -> Any:
        sizes.append(len(outcomes))
        if any(each.lease.task_id == culprit.pk and each.kind == "COMPLETED" for each in outcomes):
            raise DataError("Data too long for column 'result'")
        return settle(outcomes, *rest)

    monkeypatch.setattr(lifecycle, "settle", refusing)

    verdicts = gateway.report([completed(lease_of(task), n) for n, task in enumerate(tasks)], CLOCK)

    assert verdicts == {lease_of(task): OutcomeVerdict.ACCEPTED for task in tasks}
    assert sizes == [9, 4, 5, 2, 1, 1, 1, 3]
    failed_ones = Task.objects.exclude(status=TaskStatus.COMPLETED)
    assert [(task.pk, task.status) for task in failed_ones] == [(culprit.pk, TaskStatus.FAILED)]
    assert reread(culprit).error == "result cannot be stored: Data too long for column 'result'"


def test_an_empty_report_is_answered():
    assert gateway.report([], CLOCK) == {}


def test_log_lines_are_kept_once_and_those_of_tasks_that_are_gone_are_passed_over():
    task = claimed()
    lines = [LogLine(task.pk, 1, n, 1, "info", f"line {n}") for n in range(2)]
    strange = [LogLine(uuid.uuid4(), 1, 0, 1, "info", "gone"), LogLine(task.pk, 1, 2, 1, "odd", "half \udcff")]

    for _ in range(2):
        gateway.record([*lines, *strange], {lease_of(task): 30}, CLOCK)

    kept = TaskLog.objects.order_by("sequence").values_list("level", "message")
    assert list(kept) == [("info", "line 0"), ("info", "line 1"), ("info", "half \\udcff")]
    assert reread(task).progress == 30
