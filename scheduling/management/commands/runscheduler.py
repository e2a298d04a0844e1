"""`manage.py runscheduler`: do what must happen without a request, until SIGTERM or Ctrl-C; with `--once` just once."""

from __future__ import annotations

import signal
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from accounts import demo
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.logging import log_events
from dtq_site.foundation.observer import Observer
from scheduling.runtime.scheduler import Scheduler
from tasks.queue.dispatch import redis_index

WARNINGS = (
    *("leader.lost", "lease.reaped", "server.unreachable", "redis.may_evict"),
    *("duty.slow", "queue.late", "workers.silent"),
)
LEVELS = {**dict.fromkeys(WARNINGS, "warning"), "health.unwritable": "error"}


class Command(BaseCommand):
    """Any number of schedulers may run; one leads, the others stand by."""

    help = (
        "Release due and recurring tasks, take back lost ones, repair the index, remove old rows. Start two for safety."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--once",
            action="store_true",
            help="perform every duty until nothing is left to do, and end; 1 if one of them failed. For cron.",
        )

        parser.add_argument(
            "--health-file",
            default=settings.DTQ_SITE.health_file,
            help="the file to keep fresh while all loops turn, for dtq-healthcheck (default: none)",
        )

    def handle(self, *args: Any, once: bool, health_file: str, **options: Any) -> None:
        """Run until told to stop, or once."""
        demo.refuse_in_production()
        settings.DEBUG = False  # else Django keeps the text of every statement
        redis_index()
        scheduler = Scheduler(Observer(log_events("dtq.scheduler", LEVELS)), database_clock)
        if once:
            sys.exit(1 if scheduler.run_to_the_end() else 0)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: scheduler.stop())
        scheduler.run(health_file)
