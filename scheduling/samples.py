"""Samples of the sums of `metrics.py`, taken by the scheduler, and the history that they tell. The only writer of MetricSample.

The rows are few and small, whatever the load: about five thousand, of a kilobyte or two. They hold totals of the whole
installation; no task, team or account can be told from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from itertools import pairwise

from django.db.models import Q, QuerySet

from scheduling.domain.history import KEPT, STEPS, quantile, slot, step_for, step_opened
from scheduling.models import MetricSample
from tasks import metrics

CHARTED = (
    metrics.ENTERED,
    metrics.CREATED,
    metrics.RETRIES,
    metrics.LOST_LEASES,
    metrics.WAIT_SECONDS,
    metrics.RUN_SECONDS,
)
MOST_QUEUES = 50
"""Of more queues that are not empty, the deepest are sampled."""

_LABELS = [metrics.bucket_label(index) for index in range(len(metrics.BUCKETS) + 1)]

Sums = Mapping[str, Mapping[str, float]]
"""By metric, then by label."""


@dataclass(frozen=True)
class QueueState:
    """How a queue stands: how many tasks wait in it, and for how long the oldest of them has."""

    depth: int
    oldest_seconds: float


EMPTY = QueueState(0, 0.0)


@dataclass(frozen=True)
class Stretch:
    """What happened in the time that ended `at`, and how the queues stood then."""

    at: datetime
    seconds: float
    sums: Sums
    queues: Mapping[str, QueueState]

    def count(self, metric: str, label: str | None = None) -> int:
        """How much a counter has grown; without a label: those of all labels."""
        grown = self.sums.get(metric, {})
        return round(sum(grown.values()) if label is None else grown.get(label, 0))

    def quantile(self, histogram: str, share: float) -> float | None:
        """The value that `share` of the observations of the stretch did not exceed; None if there were none."""
        counts = self.sums.get(histogram, {})
        return quantile(share, [counts.get(label, 0) for label in _LABELS], metrics.BUCKETS)


@dataclass(frozen=True)
class History:
    """Stretches of about `step` seconds each, the last of which ends now and is still growing; `whole` is all in one."""

    step: int
    stretches: Sequence[Stretch]
    whole: Stretch | None


def take(queues: Mapping[str, QueueState], now: datetime) -> bool:
    """Keep a sample, unless the present stretch of the shortest step has one; returns whether it was kept."""
    last = MetricSample.objects.order_by("-taken_at").values_list("taken_at", flat=True).first()
    step = step_opened(now, last)
    if step is None:
        return False
    deepest = sorted(queues.items(), key=lambda each: each[1].depth, reverse=True)[:MOST_QUEUES]
    states = {name: [state.depth, round(state.oldest_seconds, 1)] for name, state in deepest if state.depth}
    MetricSample.objects.create(taken_at=now, step=step, sums=present_sums(), queues=states)
    return True


def forget(now: datetime) -> int:
    """Remove the samples that are finer than their age allows; returns how many."""
    old = (Q(step=step, taken_at__lt=now - kept) for step, kept in KEPT.items())
    removed, _ = MetricSample.objects.filter(reduce(Q.__or__, old)).delete()
    return removed


def last_depths() -> dict[str, int]:
    """How many tasks waited in each queue when the last sample was taken, of the queues of which it tells."""
    last = MetricSample.objects.order_by("-taken_at").values_list("queues", flat=True).first()
    return {name: int(depth) for name, (depth, _) in (last or {}).items()}


def present_sums() -> dict[str, dict[str, float]]:
    """The sums that are charted, as they are now."""
    kept: dict[str, dict[str, float]] = {metric: {} for metric in CHARTED}
    for (metric, label), value in metrics.sums().items():
        if metric in kept:
            kept[metric][label] = int(value) if value.is_integer() else value
    return kept


def history(span: timedelta, now: datetime, after: datetime | None = None) -> History:
    """What happened from `span` ago until now, in stretches; only those that ended later than `after`, if that is given."""
    step = step_for(span)
    since = now - span
    base, *samples = [*_samples(step, max(since, after or since)), _present(now)]
    stretches = [_between(earlier, later) for earlier, later in pairwise([base, *samples])]
    first = _first_sample(step, since)
    return History(step, stretches, _between(first, samples[-1]) if first and samples else None)


@dataclass(frozen=True)
class _Sample:
    taken_at: datetime
    sums: Sums
    queues: Mapping[str, Sequence[float]]


_Row = tuple[datetime, Sums, Mapping[str, Sequence[float]]]


def _samples(step: int, since: datetime) -> Iterator[_Sample]:
    """One for each stretch of so many seconds, the first of which is the last before `since`, if there is one."""
    rows, seen = _rows(step), None
    for row in [*rows.filter(taken_at__lte=since).reverse()[:1], *rows.filter(taken_at__gt=since)]:
        sample = _Sample(*row)
        if slot(sample.taken_at, step) != seen:  # two schedulers may both have sampled
            seen = slot(sample.taken_at, step)
            yield sample


def _first_sample(step: int, since: datetime) -> _Sample | None:
    """The first of `_samples`, without a look at the others."""
    rows = _rows(step)
    row = rows.filter(taken_at__lte=since).last() or rows.filter(taken_at__gt=since).first()
    return _Sample(*row) if row else None


def _rows(step: int) -> QuerySet[MetricSample, _Row]:
    """The samples that are fine enough, the oldest first."""
    fine_enough = MetricSample.objects.filter(step__in=[each for each in STEPS if each >= step])
    return fine_enough.order_by("taken_at").values_list("taken_at", "sums", "queues")


def _present(now: datetime) -> _Sample:
    last = MetricSample.objects.order_by("-taken_at").values_list("queues", flat=True).first()
    return _Sample(now, present_sums(), last or {})


def _between(earlier: _Sample, later: _Sample) -> Stretch:
    sums = {
        metric: {label: max(total - earlier.sums.get(metric, {}).get(label, 0), 0) for label, total in totals.items()}
        for metric, totals in later.sums.items()
    }
    queues = {name: QueueState(int(depth), oldest) for name, (depth, oldest) in later.queues.items()}
    return Stretch(later.taken_at, max((later.taken_at - earlier.taken_at).total_seconds(), 0.001), sums, queues)
