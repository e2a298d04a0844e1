"""`manage.py top`: what one board shows. The live screen is tried in tests/e2e/test_terminal.py."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import OperationalError
from rich.console import Console

from dtq_site.foundation.database import database_clock
from dtq_site.terminal import board as boards
from scheduling import queue_reports, samples
from tasks import changes, metrics
from tests.integration.graphql.making import finish, make_identity, make_task, make_worker, start
from tests.integration.terminal.commanding import run

pytestmark = pytest.mark.django_db


def cells(lines: list[str], first: str) -> list[str]:
    (line,) = [line for line in lines if line.startswith(f"{first} ")]
    return line.split()


def test_queues_and_workers_are_lines_and_the_longest_queue_comes_first():
    worker = make_worker("anna")
    make_worker("berta", silent=timedelta(hours=2))
    running = make_task(queue="short")
    for _ in range(2):
        make_task(queue="long")
    start(running, worker.pk)
    changes.pause_queue("short", make_identity())

    ran = run("top", "--once")

    assert (ran.code, ran.err) == (0, "")
    assert "2 ready, 1 running, 1 of 2 workers online" in ran.lines[0]
    assert "No scheduler runs" in ran.lines[2]
    assert cells(ran.lines, "long")[:3] == ["long", "2", "0"]
    assert cells(ran.lines, "short") == ["short", "0", "1", "paused"]
    order = [line.split()[0] for line in ran.lines if line.startswith(("long", "short"))]
    assert order == ["long", "short"]
    anna = cells(ran.lines, "anna")
    assert (anna[:2], anna[-2:]) == (["anna", "1/5"], ["running", "mail"])
    assert cells(ran.lines, "berta") == ["berta", "0/5", "2h", "00m", "ago", "offline", "mail"]
    assert "\x1b" not in ran.out


def test_rates_are_those_of_the_last_minute():
    now = database_clock.now()
    samples.take({}, now - timedelta(seconds=60))
    metrics.record({(metrics.ENTERED, "COMPLETED"): 120})

    board = boards.read(now)

    assert board.rates == {"created": 0, "completed": 2, "failed": 0, "dead letters": 0, "retries": 0}
    assert board.quantiles == {"waits p95": None, "runs p95": None}
    assert "created 0/min, completed 2.0/s, failed 0/min" in run("top", "--once").lines[1]


def test_a_finished_task_tells_how_long_tasks_take():
    samples.take({}, database_clock.now() - timedelta(seconds=60))
    finish(make_task())

    assert boards.read(database_clock.now()).quantiles["runs p95"] == pytest.approx(0.1, abs=0.05)


def test_a_small_screen_gets_what_fits_and_how_much_is_left_out():
    for number in range(20):
        make_task(queue=f"q{number}")
        make_worker(f"w{number}")
    console = Console(height=24, width=80)

    with console.capture() as drawn:
        console.print(boards.drawn(boards.read(database_clock.now()), console.height, "The database is away."))

    lines = drawn.get().splitlines()
    assert len(lines) <= 24
    assert "The database is away." in lines
    shown = [sum(line.startswith(kind) and line[1].isdigit() for line in lines) for kind in "qw"]
    assert shown == [7, 6]
    assert {"and 14 more queues", "and 14 more workers"} <= {line.strip() for line in lines}


def test_a_database_without_tables_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch):
    def refuse(now: object) -> None:
        raise OperationalError("no such table: tasks_queue")

    monkeypatch.setattr(queue_reports, "reports", refuse)

    ran = run("top", "--once")

    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "The database refuses: no such table: tasks_queue. Does it run, and has `manage.py migrate` made its tables?\n"
    )
