"""The history of the whole installation, as the samples tell it: what the charts of the overview show."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import graphene
from graphql import GraphQLResolveInfo

from accounts.permissions import requires
from accounts.roles import Role
from dtq_site.foundation.errors import BadInput
from dtq_site.foundation.scalars import DateTime
from scheduling import samples
from scheduling.domain.history import LONGEST_SECONDS
from scheduling.samples import Stretch
from tasks import metrics
from tasks.domain.states import TaskStatus

SHORTEST_SECONDS, USUAL_SECONDS = 60, 3600
_SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def _column(kind: Any, description: str) -> graphene.List:
    return graphene.List(graphene.NonNull(kind), required=True, description=description)


def _quantiles(histogram: str, stretches: Sequence[Stretch]) -> dict[str, list[float | None]]:
    return {name: [stretch.quantile(histogram, share) for stretch in stretches] for name, share in _SHARES.items()}


class QuantilesHistory(graphene.ObjectType):
    """Seconds that half, 95 and 99 per cent did not exceed, in each stretch; null where there was nothing to measure."""

    p50 = graphene.List(graphene.Float, required=True, description="Half did not take longer.")
    p95 = graphene.List(graphene.Float, required=True, description="95 per cent did not take longer.")
    p99 = graphene.List(graphene.Float, required=True, description="99 per cent did not take longer.")


class QueueHistory(graphene.ObjectType):
    """How one queue stood at the end of each stretch."""

    name = graphene.String(required=True, description="The queue's name.")
    depth = _column(graphene.Int, "How many tasks waited.")
    oldest_seconds = _column(graphene.Float, "For how long the oldest of them had waited.")


class HistoryTotals(graphene.ObjectType):
    """The whole time in one: counts, too large for an Int, and seconds that a share of the attempts did not exceed."""

    seconds = graphene.Float(required=True, description="How long that was.")
    created = graphene.Float(required=True, description="Tasks created.")
    completed = graphene.Float(required=True, description="Tasks that completed.")
    failed = graphene.Float(required=True, description="Tasks that ended as FAILED.")
    dead_lettered = graphene.Float(required=True, description="Tasks that became dead letters.")
    cancelled = graphene.Float(required=True, description="Tasks that were cancelled.")
    retried = graphene.Float(required=True, description="Failed attempts that were followed by another.")
    lost = graphene.Float(required=True, description="Leases that ended without a report.")
    wait_p50 = graphene.Float(description="From ready to started: half did not wait longer.")
    wait_p95 = graphene.Float(description="From ready to started: 95 per cent did not wait longer.")
    wait_p99 = graphene.Float(description="From ready to started: 99 per cent did not wait longer.")
    run_p50 = graphene.Float(description="How long completed attempts ran: half no longer.")
    run_p95 = graphene.Float(description="How long completed attempts ran: 95 per cent no longer.")
    run_p99 = graphene.Float(description="How long completed attempts ran: 99 per cent no longer.")


class History(graphene.ObjectType):
    """What happened in the whole installation, in stretches of time, by columns. The last stretch ends now and still grows."""

    step_seconds = graphene.Int(
        required=True, description="About how long a stretch is; longer where no scheduler ran."
    )
    at = _column(DateTime, "When each stretch ended.")
    seconds = _column(graphene.Float, "How long each stretch was: what to divide counts by for a rate.")
    created = _column(graphene.Int, "Tasks created.")
    completed = _column(graphene.Int, "Tasks that completed.")
    failed = _column(graphene.Int, "Tasks that ended as FAILED.")
    dead_lettered = _column(graphene.Int, "Tasks that became dead letters.")
    cancelled = _column(graphene.Int, "Tasks that were cancelled.")
    retried = _column(graphene.Int, "Failed attempts that were followed by another.")
    lost = _column(graphene.Int, "Leases that ended without a report.")
    wait = graphene.Field(QuantilesHistory, required=True, description="From ready to started.")
    run = graphene.Field(QuantilesHistory, required=True, description="How long attempts that completed ran.")
    queues = graphene.List(
        graphene.NonNull(QueueHistory), required=True, description="The queues in which tasks waited, by name."
    )
    totals = graphene.Field(
        HistoryTotals, description="The whole time in one, whatever `after` says; null while there is no sample yet."
    )


class HistoryQuery(graphene.ObjectType):
    """The field of Query that the samples answer."""

    history = graphene.Field(
        History,
        required=True,
        seconds=graphene.Int(
            default_value=USUAL_SECONDS,
            description=f"How far back, from {SHORTEST_SECONDS} to {LONGEST_SECONDS:,} seconds.",
        ),
        after=DateTime(description="Only stretches that ended later: what is new since an earlier answer."),
        description="What happened in the whole installation, over all teams: counts and lengths of time, no names of tasks. "
        "It is kept in the database, the older the coarser, for 90 days.",
    )

    @staticmethod
    @requires(Role.VIEWER, Role.USER)
    def resolve_history(
        root: None, info: GraphQLResolveInfo, seconds: int | None = None, after: datetime | None = None
    ) -> dict[str, Any]:
        """The columns."""
        seconds = USUAL_SECONDS if seconds is None else seconds
        if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
            raise BadInput(
                f"seconds must be from {SHORTEST_SECONDS} to {LONGEST_SECONDS:,}, not {seconds:,}.", field="seconds"
            )
        return _columns(samples.history(timedelta(seconds=seconds), info.context.clock.now(), after))


def _counts(stretch: Stretch) -> dict[str, int]:
    return {
        "created": stretch.count(metrics.CREATED),
        "completed": stretch.count(metrics.ENTERED, TaskStatus.COMPLETED),
        "failed": stretch.count(metrics.ENTERED, TaskStatus.FAILED),
        "dead_lettered": stretch.count(metrics.ENTERED, TaskStatus.DEAD_LETTER),
        "cancelled": stretch.count(metrics.ENTERED, TaskStatus.CANCELLED),
        "retried": stretch.count(metrics.RETRIES),
        "lost": stretch.count(metrics.LOST_LEASES),
    }


_COUNTED = tuple(_counts(Stretch(datetime.min, 1.0, {}, {})))


def _columns(history: samples.History) -> dict[str, Any]:
    stretches = history.stretches
    counted = [_counts(stretch) for stretch in stretches]
    names = sorted({name for stretch in stretches for name in stretch.queues})
    return {
        "step_seconds": history.step,
        "at": [stretch.at for stretch in stretches],
        "seconds": [stretch.seconds for stretch in stretches],
        **{name: [counts[name] for counts in counted] for name in _COUNTED},
        "wait": _quantiles(metrics.WAIT_SECONDS, stretches),
        "run": _quantiles(metrics.RUN_SECONDS, stretches),
        "queues": [_queue(name, stretches) for name in names],
        "totals": _totals(history.whole) if history.whole else None,
    }


def _queue(name: str, stretches: Sequence[Stretch]) -> dict[str, Any]:
    states = [stretch.queues.get(name, samples.EMPTY) for stretch in stretches]
    return {
        "name": name,
        "depth": [state.depth for state in states],
        "oldest_seconds": [state.oldest_seconds for state in states],
    }


def _totals(whole: Stretch) -> dict[str, Any]:
    waits = {f"wait_{name}": whole.quantile(metrics.WAIT_SECONDS, share) for name, share in _SHARES.items()}
    runs = {f"run_{name}": whole.quantile(metrics.RUN_SECONDS, share) for name, share in _SHARES.items()}
    return {"seconds": whole.seconds, **_counts(whole), **waits, **runs}
