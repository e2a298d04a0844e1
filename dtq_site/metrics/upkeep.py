"""Whether somebody schedules, and how the duties of the scheduler do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from prometheus_client.core import Metric

from dtq_site.metrics.families import counters, gauge, gauges
from scheduling import schedules, selectors
from scheduling.duty_states import DutyHealth, DutyState, duty_states
from tasks import lifecycle


def families(now: datetime) -> Iterator[Metric]:
    """All of them."""
    due, slot = lifecycle.next_due(), schedules.next_moment()
    yield gauge("dtq_scheduler_leader", "Whether a scheduler leads.", int(selectors.has_leader(now)))
    text = "How long the task that has been due for longest has been waiting to become ready."
    yield gauge("dtq_scheduler_late_seconds", text, _late_seconds(due, now))
    text = "How long the slot of a schedule that has been due for longest has been waiting to fire."
    yield gauge("dtq_schedule_late_seconds", text, _late_seconds(slot, now))
    yield gauges("dtq_schedules", "Schedules by state.", "state", selectors.schedule_counts())
    yield from _duties(duty_states(), now)


def _late_seconds(due: datetime | None, now: datetime) -> float:
    return max((now - due).total_seconds(), 0.0) if due else 0.0


def _duties(duties: list[DutyState], now: datetime) -> Iterator[Metric]:
    records = {duty.name: duty.record for duty in duties}
    succeeded = {
        name: record.succeeded_at.timestamp() if record.succeeded_at else 0.0 for name, record in records.items()
    }
    took = {name: record.seconds for name, record in records.items()}
    behind = {duty.name: int(duty.health(now) is not DutyHealth.OK) for duty in duties}
    treated = {name: record.treated for name, record in records.items()}
    failures = {name: record.failures for name, record in records.items()}
    text = "When a duty was last through with its work; 0: never."
    yield gauges("dtq_duty_last_success_timestamp_seconds", text, "duty", succeeded)
    yield gauges("dtq_duty_duration_seconds", "How long the last round of a duty took.", "duty", took)
    yield gauges("dtq_duty_behind", "Whether a duty fails, or is behind.", "duty", behind)
    yield counters("dtq_duty_rows", "Rows that a duty has treated.", "duty", treated)
    yield counters("dtq_duty_failures", "Rounds of a duty that failed.", "duty", failures)
