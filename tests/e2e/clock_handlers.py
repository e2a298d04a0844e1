"""A worker that imports this has a wall clock that is CLOCK_OFF seconds off, in all its processes."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta, tzinfo

from dtq_site.foundation import clock
from tasks import TaskContext, task

OFF = float(os.environ["CLOCK_OFF"])
_wall = time.time


class ShiftedDatetime(datetime):
    """What the host says the moment is."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        """The moment, so much off."""
        return datetime.now(tz) + timedelta(seconds=OFF)


time.time = lambda: _wall() + OFF
clock.datetime = ShiftedDatetime


@task("late-child", takes_context=True)
def late_child(context: TaskContext, seconds: float, delay: float) -> float:
    """Work for a while, then enqueue a task that is due later; returns what the worker's clock is off."""
    time.sleep(seconds)
    context.enqueue("square", {"number": 7}, delay_seconds=delay)
    return round(clock.host_now().timestamp() - _wall())
