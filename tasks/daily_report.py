"""What a team's tasks did in the last 24 hours, as the handler `daily-report` tells it. Reads only."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, Q, QuerySet, Sum

from tasks.domain.states import TERMINAL, TaskStatus
from tasks.models import Task

PERIOD = timedelta(hours=24)
LONGEST_LIST = 10

_KEYS = {
    TaskStatus.COMPLETED: "completed",
    TaskStatus.FAILED: "failed",
    TaskStatus.DEAD_LETTER: "deadLetter",
    TaskStatus.CANCELLED: "cancelled",
}
_WAITING = {TaskStatus.PENDING: "pending", TaskStatus.QUEUED: "queued", TaskStatus.PROCESSING: "processing"}
_RUN_TIME = ExpressionWrapper(F("completed_at") - F("started_at"), output_field=DurationField())


def daily_figures(team_id: UUID, now: datetime) -> dict[str, Any]:
    """The figures of one team as a JSON object: what was created and what ended in the period, what waits now.

    `retries` and `lostLeases` are of the tasks that ended, run times (the last attempt's) of those that completed.
    """
    since = now - PERIOD
    tasks = Task.objects.filter(team_id=team_id)
    ended = tasks.filter(status__in=TERMINAL, completed_at__gt=since, completed_at__lte=now)
    totals = ended.aggregate(retries=Sum("retries", default=0), lost=Sum("lost_leases", default=0))
    return {
        "from": since.isoformat(),
        "until": now.isoformat(),
        "created": tasks.filter(created_at__gt=since, created_at__lte=now).count(),
        "ended": _by_status(ended, _KEYS),
        "now": _by_status(tasks.filter(status__in=_WAITING), _WAITING),
        "retries": totals["retries"],
        "lostLeases": totals["lost"],
        "runSeconds": _run_seconds(ended.filter(status=TaskStatus.COMPLETED, started_at__isnull=False)),
        "byQueue": _longest(ended, "queue"),
        "byName": _longest(ended, "name"),
    }


def as_text(title: str, figures: dict[str, Any]) -> str:
    """The figures as the text of a mail."""
    run = figures["runSeconds"]
    lines = [
        title,
        f"{figures['from']} to {figures['until']}",
        "",
        f"created: {figures['created']}",
        *(f"{key}: {count}" for key, count in figures["ended"].items()),
        f"retries: {figures['retries']}",
        f"lost leases: {figures['lostLeases']}",
        f"run time: {run['average']} s on average, 95 % within {run['p95']} s"
        if run
        else "run time: nothing completed",
        "",
        "now: " + ", ".join(f"{count} {key}" for key, count in figures["now"].items()),
    ]
    for heading, rows in (("queue", figures["byQueue"]), ("name", figures["byName"])):
        lines += ["", f"by {heading}:"]
        lines += [f"  {row[heading]}: {row['ended']} ended, {row['failed']} of them failed" for row in rows]
    return "\n".join(lines) + "\n"


def _by_status(tasks: QuerySet[Task], keys: dict[TaskStatus, str]) -> dict[str, int]:
    counts = dict(tasks.values_list("status").annotate(number=Count("pk")))
    return {key: counts.get(status, 0) for status, key in keys.items()}


def _longest(ended: QuerySet[Task], column: str) -> list[dict[str, Any]]:
    """The busiest values of a column, with how many of their tasks ended and how many of those failed."""
    failed = Count("pk", filter=Q(status__in=(TaskStatus.FAILED, TaskStatus.DEAD_LETTER)))
    rows = ended.values(column).annotate(ended=Count("pk"), failed=failed).order_by("-ended", column)
    return list(rows[:LONGEST_LIST])


def _run_seconds(completed: QuerySet[Task]) -> dict[str, float] | None:
    """Average and 95th percentile (nearest rank) of the run times, or None if there are none."""
    timed = completed.annotate(run_time=_RUN_TIME)
    facts = timed.aggregate(number=Count("pk"), average=Avg("run_time"))
    if not facts["number"]:
        return None
    place = -(-95 * facts["number"] // 100) - 1
    slow = timed.order_by("run_time", "pk").values_list("run_time", flat=True)[place]
    return {"average": round(facts["average"].total_seconds(), 3), "p95": round(slow.total_seconds(), 3)}
