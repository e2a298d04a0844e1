"""How the duties are: all of them, in their order, those too that nobody has performed yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from scheduling import selectors
from scheduling.models import DutyRecord
from scheduling.runtime.scheduler import DUTIES


class DutyHealth(StrEnum):
    """How a duty is."""

    OK = "ok"
    FAILING = "failing"
    BEHIND = "behind"


@dataclass(frozen=True)
class DutyState:
    """One duty and its record."""

    name: str
    record: DutyRecord

    def health(self, now: datetime) -> DutyHealth:
        """FAILING if its last round failed, BEHIND if one goes on for too long or has not come when it should have."""
        record = self.record
        if record.failed_at is not None and (record.succeeded_at is None or record.succeeded_at < record.failed_at):
            return DutyHealth.FAILING
        return DutyHealth.OK if record.expected_at is None or self.is_on_time(now) else DutyHealth.BEHIND

    def is_on_time(self, now: datetime) -> bool:
        """Whether somebody performs it, and nobody waits for that to happen again."""
        return self.record.expected_at is not None and self.record.expected_at >= now


def duty_states() -> list[DutyState]:
    """All duties."""
    records = selectors.duty_records()
    return [DutyState(duty.name, records.get(duty.name) or DutyRecord(name=duty.name)) for duty in DUTIES]
