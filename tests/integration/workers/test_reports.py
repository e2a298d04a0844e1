"""Reports at the workers' door: no outcome holds up another, whatever it brings."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import DEFAULT_DB_ALIAS, DataError, OperationalError, connection, connections
from django.db.backends.utils import CursorWrapper

from dtq_site.foundation.connections import impatient_connection
from tasks import lifecycle
from tasks.audit import LogLine
from tasks.domain.outcome import OutcomeVerdict
from tasks.domain.states import TaskStatus
from tasks.models import Task, TaskLog
from tests.support.factories import (
    START,
    ManualClock,
    after,
    claim,
    claimed,
    completed,
    failed,
    lease_of,
    new_task,
    reread,
    row,
)
from workers import gateway

CLOCK = ManualClock(after(60))


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (float("nan"), "it contains NaN, which JSON does not have"),
        ({1: 2}, "the key 1 is no text"),
        ("x" * 300_000, "it takes 300,002 bytes as JSON"),
        ("\ud800", "half of a surrogate pair"),
        (object(), "an object of type object"),
        (json.loads("[" * 31 + "]" * 31), "it is nested too deeply"),
    ],
    ids=["nan", "key", "size", "surrogate", "object", "depth"],
)
def test_a_result_that_cannot_be_stored_fails_its_own_task_only(result, reason):
    bad, good = claimed(), claimed()

    verdicts = gateway.report([completed(lease_of(bad), result), completed(lease_of(good), "fine")], CLOCK)

    assert set(verdicts.values()) == {OutcomeVerdict.ACCEPTED}
    kept = reread(bad)
    assert (kept.status, kept.result) == (TaskStatus.FAILED, None)
    assert kept.error.startswith("result cannot be stored: ") and reason in kept.error
    assert (reread(good).status, reread(good).result) == (TaskStatus.COMPLETED, "fine")


def test_as_many_levels_as_are_allowed_are_stored():
    deepest = json.loads("[" * 30 + "]" * 30)
    task = claimed(payload={"x": deepest[0]})

    gateway.report([completed(lease_of(task), deepest)], CLOCK)

    assert (reread(task).payload, reread(task).result) == ({"x": deepest[0]}, deepest)


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


def test_what_the_database_calls_too_large_is_tried_alone_twice_and_then_given_up(monkeypatch):
    tasks = [claimed() for _ in range(4)]
    culprit = tasks[3]
    sizes = []
    settle = lifecycle.settle

    def hanging_up(outcomes: Any, *rest: Any) -> Any:
        sizes.append(len(outcomes))
        if any(each.lease.task_id == culprit.pk and each.kind == "COMPLETED" for each in outcomes):
            raise OperationalError(1153, "Got a packet bigger than 'max_allowed_packet' bytes")
        return settle(outcomes, *rest)

    monkeypatch.setattr(lifecycle, "settle", hanging_up)

    verdicts = gateway.report([completed(lease_of(task), n) for n, task in enumerate(tasks)], CLOCK)

    assert verdicts == {lease_of(task): OutcomeVerdict.ACCEPTED for task in tasks}
    assert sizes == [4, 2, 2, 1, 1, 1]
    assert reread(culprit).status == TaskStatus.FAILED
    assert reread(culprit).error.startswith("result cannot be stored: ")


def test_a_connection_that_had_died_costs_no_result(monkeypatch):
    task = claimed()
    settle, failures = lifecycle.settle, [OperationalError(2006, "Server has gone away")]

    def after_a_failure(*args: Any) -> Any:
        if failures:
            raise failures.pop()
        return settle(*args)

    monkeypatch.setattr(lifecycle, "settle", after_a_failure)

    assert gateway.report([completed(lease_of(task), "kept")], CLOCK) == {lease_of(task): OutcomeVerdict.ACCEPTED}
    assert (reread(task).status, reread(task).result) == (TaskStatus.COMPLETED, "kept")


@pytest.mark.parametrize(
    ("report", "code", "reachable"),
    [(completed, 2006, False), (completed, 2002, True), (completed, 1213, True), (failed, 2013, True)],
)
def test_a_database_that_is_away_is_no_refusal(report, code, reachable, monkeypatch):
    tasks = [claimed(), claimed()]
    before = [row(task) for task in tasks]

    def away(*_: Any) -> Any:
        raise OperationalError(code, "away")

    monkeypatch.setattr(lifecycle, "settle", away)
    monkeypatch.setattr(gateway, "reconnect", lambda: reachable)

    with pytest.raises(OperationalError):
        gateway.report([report(lease_of(task)) for task in tasks], CLOCK)

    assert [row(task) for task in tasks] == before


def test_a_database_that_stalls_and_goes_on_costs_no_result(monkeypatch):
    if connection.vendor != "mysql":
        pytest.skip("SQLite has no server that hangs up")
    task = claimed()
    outcomes = [completed(lease_of(task), "kept")]
    settle, stalled = lifecycle.settle, []

    with connected() as other, impatient_connection(1):
        other.execute("FLUSH TABLES WITH READ LOCK")  # as a backup does

        def until_it_has_stalled_twice(*args: Any) -> Any:
            try:
                return settle(*args)
            except OperationalError:
                stalled.append(1)
                if len(stalled) == 2:
                    other.execute("UNLOCK TABLES")
                raise

        monkeypatch.setattr(lifecycle, "settle", until_it_has_stalled_twice)
        with pytest.raises(OperationalError):
            gateway.report(outcomes, CLOCK)

    assert reread(task).status == TaskStatus.PROCESSING
    assert gateway.report(outcomes, CLOCK) == {lease_of(task): OutcomeVerdict.ACCEPTED}
    assert reread(task).result == "kept"


def test_large_results_are_written_a_few_at_a_time(monkeypatch):
    tasks = claim(lifecycle.create([new_task() for _ in range(80)], START))
    outcomes = [completed(lease_of(task), f"{n:03}" + "x" * 250_000) for n, task in enumerate(tasks)]
    batches = []
    settle = lifecycle.settle
    monkeypatch.setattr(lifecycle, "settle", lambda batch, *rest: batches.append(len(batch)) or settle(batch, *rest))

    verdicts = gateway.report(outcomes, CLOCK)

    assert verdicts == {lease_of(task): OutcomeVerdict.ACCEPTED for task in tasks}
    assert batches == [16] * 5
    assert [reread(task).result[:3] for task in tasks] == [f"{n:03}" for n in range(80)]


def test_a_result_larger_than_the_database_takes_fails_its_own_task_only(monkeypatch):
    if connection.vendor != "mysql":
        pytest.skip("SQLite takes any size")
    tasks = [claimed() for _ in range(5)]
    outcomes = [completed(lease_of(task), "x" * (200_000 if n == 2 else n)) for n, task in enumerate(tasks)]

    with packets_of(128 * 1024):
        verdicts = gateway.report(outcomes, CLOCK)

    assert verdicts == {lease_of(task): OutcomeVerdict.ACCEPTED for task in tasks}
    assert [reread(task).status for task in tasks] == ["COMPLETED", "COMPLETED", "FAILED", "COMPLETED", "COMPLETED"]
    assert reread(tasks[2]).error.startswith("result cannot be stored: ")


@contextmanager
def connected() -> Iterator[CursorWrapper]:
    """A connection beside the test's own."""
    other = connections.create_connection(DEFAULT_DB_ALIAS)
    with other.cursor() as cursor:
        yield cursor
    other.close()


@contextmanager
def packets_of(size: int) -> Iterator[None]:
    """Have new connections refuse statements larger than `size`."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.max_allowed_packet")
        (usual,) = cursor.fetchone()
        cursor.execute("SET GLOBAL max_allowed_packet=%s", [size])
    connection.close()
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET GLOBAL max_allowed_packet=%s", [usual])
        connection.close()


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
