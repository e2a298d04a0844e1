"""`daily-report`: exact figures of one team and one day, and of nothing else."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from accounts.models import Team
from dtq_site.foundation.clock import host_now
from tasks import Discard, handlers
from tasks.daily_report import as_text, daily_figures
from tasks.handlers import daily_report
from tasks.models import Task

NOW = datetime(2030, 1, 2, 12, tzinfo=UTC)
EMPTY = {
    "created": 0,
    "ended": {"completed": 0, "failed": 0, "deadLetter": 0, "cancelled": 0},
    "now": {"pending": 0, "queued": 0, "processing": 0},
    "retries": 0,
    "lostLeases": 0,
    "runSeconds": None,
    "byQueue": [],
    "byName": [],
}

pytestmark = pytest.mark.django_db


@pytest.fixture
def team() -> Team:
    return Team.objects.create(name="ours", created_at=NOW)


def add(
    team: Team, status: str, *, ended_ago: float | None = None, run: float = 1, created_ago: float = 3600, **facts
) -> Task:
    """A row as the lifecycle leaves it; times are in seconds before NOW."""
    created, ended = NOW - timedelta(seconds=created_ago), None
    if ended_ago is not None:
        ended = NOW - timedelta(seconds=ended_ago)
        facts["started_at"] = ended - timedelta(seconds=run)
    given = {"name": "work", "queue": "default", **facts}
    return Task.objects.create(
        id=uuid.uuid4(), team=team, title="", payload={}, priority=5, max_retries=3, timeout_seconds=60, ready_ms=0, rank=0,
        status=status, created_at=created, updated_at=created, completed_at=ended, **given,
    )  # fmt: skip


def test_a_team_without_tasks_has_a_report_of_zeros(team):
    assert daily_figures(team.pk, NOW) == {
        "from": "2030-01-01T12:00:00+00:00", "until": "2030-01-02T12:00:00+00:00", **EMPTY,
    }  # fmt: skip


def test_the_figures_count_every_state(team):
    for _ in range(3):
        add(team, "COMPLETED", ended_ago=10)
    add(team, "FAILED", ended_ago=10, retries=2)
    add(team, "DEAD_LETTER", ended_ago=10, retries=3, lost_leases=1, queue="bulk", name="import")
    add(team, "CANCELLED", ended_ago=10, queue="bulk")
    add(team, "PENDING")
    add(team, "QUEUED")
    add(team, "PROCESSING", retries=9)

    figures = daily_figures(team.pk, NOW)

    assert figures["created"] == 9
    assert figures["ended"] == {"completed": 3, "failed": 1, "deadLetter": 1, "cancelled": 1}
    assert figures["now"] == {"pending": 1, "queued": 1, "processing": 1}
    assert (figures["retries"], figures["lostLeases"]) == (5, 1)
    assert figures["byQueue"] == [
        {"queue": "default", "ended": 4, "failed": 1}, {"queue": "bulk", "ended": 2, "failed": 1},
    ]  # fmt: skip
    assert figures["byName"] == [{"name": "work", "ended": 5, "failed": 1}, {"name": "import", "ended": 1, "failed": 1}]


def test_only_this_team_and_this_day_count(team):
    other = Team.objects.create(name="theirs", created_at=NOW)
    add(other, "COMPLETED", ended_ago=10)
    add(other, "QUEUED")
    add(team, "COMPLETED", ended_ago=86_400, created_ago=86_400)
    add(team, "COMPLETED", ended_ago=-1, created_ago=-1)
    add(team, "COMPLETED", ended_ago=86_399, created_ago=90_000)

    figures = daily_figures(team.pk, NOW)

    assert figures["created"] == 0
    assert figures["ended"]["completed"] == 1
    assert figures["now"] == EMPTY["now"]


def test_run_times_are_of_completed_tasks(team):
    for seconds in range(1, 41):
        add(team, "COMPLETED", ended_ago=10, run=seconds / 4)
    add(team, "FAILED", ended_ago=10, run=500)

    assert daily_figures(team.pk, NOW)["runSeconds"] == {"average": 5.125, "p95": 9.5}


def test_one_task_is_its_own_percentile(team):
    add(team, "COMPLETED", ended_ago=10, run=0.25)

    assert daily_figures(team.pk, NOW)["runSeconds"] == {"average": 0.25, "p95": 0.25}


def test_the_lists_end_after_the_ten_busiest(team):
    for index in range(12):
        for _ in range(2 if index == 11 else 1):
            add(team, "COMPLETED", ended_ago=10, name=f"name-{index:02}")

    names = [row["name"] for row in daily_figures(team.pk, NOW)["byName"]]

    assert names == ["name-11", *(f"name-{index:02}" for index in range(9))]


def test_the_handler_reports_on_its_own_tasks_team(team, make_context, mailoutbox):
    task = add(team, "PROCESSING")
    before = host_now() - timedelta(seconds=2)

    result = daily_report(make_context(task_id=str(task.pk)))

    assert result["reportType"] == "daily"
    assert result["now"]["processing"] == 1
    assert result["recipients"] == []
    assert before < datetime.fromisoformat(result["until"]) < host_now() + timedelta(seconds=2)
    assert mailoutbox == []


def test_the_report_is_mailed_to_those_who_are_named(team, make_context, mailoutbox, monkeypatch):
    task = add(team, "PROCESSING")
    monkeypatch.setattr(handlers.database_clock, "now", lambda: NOW)

    result = daily_report(make_context(task_id=str(task.pk)), reportType="sales", recipients=["a@example.com"])

    assert (result["reportType"], result["recipients"]) == ("sales", ["a@example.com"])
    (message,) = mailoutbox
    assert (message.to, message.subject) == (["a@example.com"], "sales report")
    assert message.body == (
        "sales report\n2030-01-01T12:00:00+00:00 to 2030-01-02T12:00:00+00:00\n\n"
        "created: 1\ncompleted: 0\nfailed: 0\ndeadLetter: 0\ncancelled: 0\nretries: 0\nlost leases: 0\n"
        "run time: nothing completed\n\nnow: 0 pending, 0 queued, 1 processing\n\nby queue:\n\nby name:\n"
    )


def test_the_mail_lists_queues_and_names(team):
    add(team, "COMPLETED", ended_ago=10, run=0.5)

    text = as_text("daily report", daily_figures(team.pk, NOW))

    assert "run time: 0.5 s on average, 95 % within 0.5 s\n" in text
    assert text.endswith(
        "by queue:\n  default: 1 ended, 0 of them failed\n\nby name:\n  work: 1 ended, 0 of them failed\n"
    )


def test_a_bad_address_discards_before_anything_is_read(make_context, mailoutbox, django_assert_num_queries):
    with django_assert_num_queries(0), pytest.raises(Discard, match="'nobody' is no e-mail address."):
        daily_report(make_context(), email="nobody")

    assert mailoutbox == []


def test_the_report_costs_a_fixed_number_of_queries(team, django_assert_num_queries):
    for index in range(5):
        add(team, "COMPLETED", ended_ago=10, name=f"name-{index}")

    with django_assert_num_queries(8):
        daily_figures(team.pk, NOW)


@pytest.mark.parametrize(
    "payload", [{}, {"reportType": "sales"}, {"reportType": "x", "email": "a@b.c", "recipients": []}]
)
def test_the_payloads_of_the_documentation_fit(payload):
    assert daily_report.bind(payload) == payload
