"""Duties made to be performed by hand, and the leader whose word they take."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from dtq_site.foundation.observer import Observer, Recorder
from scheduling.duties.promoter import Promoter
from scheduling.runtime.duty import Duty
from scheduling.runtime.reachability import Reachability
from tests.support.factories import START, ManualClock


class Leading:
    """A leader since START, or none."""

    def __init__(self, leads: bool = True, up_since: datetime = START) -> None:
        self.leads, self._up_since = leads, up_since
        self.heard = Recorder()
        self.database = Reachability(Observer(self.heard))

    def up_for(self, now: datetime) -> timedelta:
        """For how long it has been one."""
        return now - self._up_since


def make_duty(kind: type[Duty], leader: Any = None, now: datetime = START) -> tuple[Any, Recorder]:
    """A duty, and what it tells."""
    heard = Recorder()
    return kind(Observer(heard), ManualClock(now), leader or Leading()), heard


def woken(duty: Promoter) -> bool:
    """Whether its present sleep has been ended; it sleeps again afterwards."""
    was_set = duty._wake.is_set()
    duty._wake.clear()
    return was_set
