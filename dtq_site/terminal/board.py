"""How the installation stands at a moment: what `manage.py top` shows, read like the pages for operators, and drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dtq_site.terminal.edge import harmless, shown_moment, shown_seconds
from scheduling import queue_reports, samples
from scheduling import selectors as scheduling
from scheduling.queue_reports import QueueReport
from tasks import metrics
from tasks.domain.states import TaskStatus
from workers import selectors as workers
from workers.domain.liveness import WorkerStatus, is_online

MOST_WORKERS = 1000
RATED = timedelta(minutes=1)

_LATE_SECONDS = 60.0
_TOLD_IN_A_LINE = 4
"""Rates and lengths of time, so that the line fits into 80 columns."""

_BESIDE_ROWS = 11
"""Lines of a board that are no row of its tables, at most."""

_RATES = {
    "created": (metrics.CREATED, None),
    "completed": (metrics.ENTERED, TaskStatus.COMPLETED),
    "failed": (metrics.ENTERED, TaskStatus.FAILED),
    "dead letters": (metrics.ENTERED, TaskStatus.DEAD_LETTER),
    "retries": (metrics.RETRIES, None),
}
_ONE_LINE: Any = {"no_wrap": True, "overflow": "ellipsis"}
_QUANTILES = {"waits p95": metrics.WAIT_SECONDS, "runs p95": metrics.RUN_SECONDS}


@dataclass(frozen=True)
class WorkerLine:
    """One worker: how many of its slots are taken, and how long ago it was heard of."""

    name: str
    state: str
    taken: int
    slots: int
    silent_seconds: float
    queues: Sequence[str]


@dataclass(frozen=True)
class Board:
    """What is shown. `rates` are per second, over about the last minute; empty while there are no samples."""

    at: datetime
    has_scheduler: bool
    rates: dict[str, float]
    quantiles: dict[str, float | None]
    queues: Sequence[QueueReport]
    workers: Sequence[WorkerLine]


def read(now: datetime) -> Board:
    """The board of this moment; queues with most to do come first, workers by name."""
    whole = samples.history(RATED, now).whole
    return Board(
        at=now,
        has_scheduler=scheduling.has_leader(now),
        rates={} if whole is None else {name: whole.count(*of) / whole.seconds for name, of in _RATES.items()},
        quantiles={} if whole is None else {name: whole.quantile(of, 0.95) for name, of in _QUANTILES.items()},
        queues=sorted(queue_reports.reports(now), key=lambda each: (-each.depth, -each.processing, each.name)),
        workers=_worker_lines(now),
    )


def _worker_lines(now: datetime) -> list[WorkerLine]:
    known = [each for each in workers.latest_heard(MOST_WORKERS) if each.status != WorkerStatus.STOPPED]
    active = workers.active_task_counts([each.pk for each in known])
    offline_after = settings.DTQ_WORKERS.offline_after
    return [
        WorkerLine(
            each.name,
            each.status if is_online(each.status, each.last_heartbeat, now, offline_after) else "offline",
            active[each.pk],
            each.concurrency,
            max((now - each.last_heartbeat).total_seconds(), 0.0),
            each.queues,
        )
        for each in sorted(known, key=lambda each: (each.name, each.pk))
    ]


# --- drawn ---------------------------------------------------------------------------------------------------------


def drawn(board: Board, height: int | None = None, complaint: str = "") -> RenderableType:
    """The board; with a height only so many lines of it, and how many are left out. A complaint stands above all."""
    queues, workers = list(board.queues), list(board.workers)
    if height is not None:
        room = max(height - _BESIDE_ROWS, 2)
        of_workers = min(len(workers), max(room // 2, room - len(queues)))
        queues, workers = queues[: room - of_workers], workers[:of_workers]
    parts: list[RenderableType] = [*_head(board, complaint), Text(), _queue_table(queues)]
    parts += _left_out(len(board.queues) - len(queues), "queues")
    parts += [Text(), _worker_table(workers), *_left_out(len(board.workers) - len(workers), "workers")]
    return Group(*parts)


def _head(board: Board, complaint: str) -> Iterator[Text]:
    ready, running = (sum(getattr(each, what) for each in board.queues) for what in ("depth", "processing"))
    online = sum(each.state != "offline" for each in board.workers)
    counts = f"{ready:,} ready, {running:,} running, {online:,} of {len(board.workers):,} workers online"
    yield Text.assemble((f"DTQ  {shown_moment(board.at)} UTC  ", "bold"), counts, **_ONE_LINE)
    told = [f"{name} {_shown_rate(rate)}" for name, rate in board.rates.items()]
    told += [f"{name} {shown_seconds(value)}" for name, value in board.quantiles.items() if value is not None]
    if not told:
        yield Text("No rates: a scheduler has to run for a while, and keep samples.", **_ONE_LINE)
    for start in range(0, len(told), _TOLD_IN_A_LINE):
        yield Text(", ".join(told[start : start + _TOLD_IN_A_LINE]), **_ONE_LINE)
    if not board.has_scheduler:
        yield Text("No scheduler runs: nothing that is due later becomes ready.", style="bold red", **_ONE_LINE)
    if complaint:
        yield Text(complaint, style="bold red", **_ONE_LINE)


def _shown_rate(per_second: float) -> str:
    return f"{per_second:,.1f}/s" if per_second >= 1 else f"{per_second * 60:,.0f}/min"


def _queue_table(queues: Iterable[QueueReport]) -> Table:
    table = _table("QUEUE", "READY", "RUNNING", "OLDEST WAITS", "STATE")
    for each in queues:
        late = each.oldest_seconds >= _LATE_SECONDS
        waits = Text(shown_seconds(each.oldest_seconds) if each.depth else "", style="yellow" if late else "")
        state = Text("paused", style="yellow") if each.paused else Text("")
        table.add_row(Text(each.name), f"{each.depth:,}", f"{each.processing:,}", waits, state)
    return table


def _worker_table(workers: Iterable[WorkerLine]) -> Table:
    table = _table("WORKER", "SLOTS", "HEARD OF", "STATE", "QUEUES")
    for each in workers:
        style = {"offline": "red", WorkerStatus.STOPPING: "yellow"}.get(each.state, "green")
        slots = f"{each.taken}/{each.slots}"
        heard = f"{shown_seconds(each.silent_seconds)} ago"
        table.add_row(
            Text(harmless(each.name)),
            slots,
            heard,
            Text(each.state, style=style),
            Text(", ".join(each.queues) or "all"),
        )
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, no_wrap=True, justify="left" if name in ("STATE", "QUEUES") else "right")
    return table


def _left_out(count: int, what: str) -> list[Text]:
    return [Text(f"and {count:,} more {what}", style="dim")] if count > 0 else []
