"""From what somebody asks of a schedule to a checked definition, or to an error that names the field and the remedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from scheduling.domain import timing
from scheduling.domain.misfires import MisfirePolicy
from scheduling.domain.overlaps import OverlapPolicy
from scheduling.domain.timing import Timing
from scheduling.models import Schedule
from tasks import submission
from tasks.domain.submission import Request, TaskSpec

TASK_COLUMNS = ("name", "title", "description", "payload", "priority", "queue", "max_retries", "timeout_seconds")
TIMING_COLUMNS = tuple(field.name for field in fields(Timing))
ASKED_OF_TIMING = tuple(column for column in TIMING_COLUMNS if column != "counts_from")


@dataclass(frozen=True)
class Definition:
    """When a schedule is due, which task it makes, and what it does about slots that it missed or that overlap."""

    spec: TaskSpec
    timing: Timing
    misfire_policy: MisfirePolicy = MisfirePolicy.FIRE_ONCE
    overlap_policy: OverlapPolicy = OverlapPolicy.ALLOW

    def columns(self) -> dict[str, Any]:
        """The definition as columns of a schedule."""
        return {
            **{column: getattr(self.spec, column) for column in TASK_COLUMNS},
            **{column: getattr(self.timing, column) for column in TIMING_COLUMNS},
            "misfire_policy": self.misfire_policy,
            "overlap_policy": self.overlap_policy,
        }


def read(asked: Mapping[str, Any], team_id: UUID, now: datetime) -> Definition:
    """The definition of a new schedule of that team; None leaves the choice to the handler's declaration or the settings.

    Raises BadInput naming the field.
    """
    when = {field: asked.get(field) for field in ASKED_OF_TIMING}
    return _definition(asked, timing.checked(**when, now=now), team_id, now)


def read_changed(schedule: Schedule, asked: Mapping[str, Any], now: datetime) -> Definition:
    """The definition of a schedule after a change; what is not asked for stays. Raises BadInput naming the field."""
    present = {column: getattr(schedule, column) for column in TASK_COLUMNS}
    if schedule.title == schedule.name:
        present["title"] = None  # nobody chose it
    policies = {"misfire_policy": schedule.misfire_policy, "overlap_policy": schedule.overlap_policy}
    when = _changed_timing(schedule, asked, now)
    return _definition({**present, **policies, **asked}, when, schedule.team_id, now)


def _changed_timing(schedule: Schedule, asked: Mapping[str, Any], now: datetime) -> Timing:
    present = timing_of(schedule)
    before = {field: getattr(present, field) for field in ASKED_OF_TIMING}
    after = before | {field: value for field, value in asked.items() if field in before}
    # The one of the two that is asked for takes the other's place.
    for given, other in (("cron_expression", "interval_seconds"), ("interval_seconds", "cron_expression")):
        if asked.get(given) is not None and asked.get(other) is None:
            after[other] = None
    if after == before:
        return present  # also of one that is never due any more
    same_interval = all(after[field] == before[field] for field in ("interval_seconds", "starts_at"))
    return timing.checked(**after, now=now, counts_from=present.counts_from if same_interval else None)


def _definition(asked: Mapping[str, Any], when: Timing, team_id: UUID, now: datetime) -> Definition:
    # An absent payload is an empty one, but null is not.
    request = Request(**{column: asked[column] for column in TASK_COLUMNS if column in asked})
    return Definition(
        submission.check(request, now, team_id),
        when,
        MisfirePolicy(asked.get("misfire_policy") or MisfirePolicy.FIRE_ONCE),
        OverlapPolicy(asked.get("overlap_policy") or OverlapPolicy.ALLOW),
    )


def timing_of(schedule: Schedule) -> Timing:
    """When the schedule is due, as its row says."""
    return Timing(**{column: getattr(schedule, column) for column in TIMING_COLUMNS})
