"""`manage.py runscheduler`: do what must happen without a request, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from accounts import demo
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.logging import log_events
from dtq_site.foundation.observer import Observer
from scheduling.runtime.scheduler import Scheduler
from tasks.queue.dispatch import redis_index

LEVELS = dict.fromkeys(("leader.lost", "lease.reaped", "server.unreachable", "redis.may_evict"), "warning")


class Command(BaseCommand):
    """Any number of schedulers may run; one leads, the others stand by."""

    help = (
        "Release due and recurring tasks, take back lost ones, repair the index, remove old rows. Start two for safety."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until told to stop."""
        demo.refuse_in_production()
        settings.DEBUG = False  # else Django keeps the text of every statement
        redis_index()
        scheduler = Scheduler(Observer(log_events("dtq.scheduler", LEVELS)), database_clock)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: scheduler.stop())
        scheduler.run()
