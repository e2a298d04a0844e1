"""`manage.py runworker`: run tasks until SIGTERM or Ctrl-C."""

from __future__ import annotations

import os
import socket
import sys
import uuid
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from accounts import demo
from dtq_site.foundation.errors import BadInput
from dtq_site.foundation.logging import log_events
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.version import VERSION
from tasks.domain.lease import Lease
from tasks.domain.submission import check_queue
from tasks.handling import registry
from tasks.queue.dispatch import redis_index
from workers import gateway
from workers.domain.card import WorkerCard
from workers.runtime.supervisor import Supervisor
from workers.runtime.worker import Worker
from workers.transports.direct import DirectTransport

LEVELS = {
    "server.unreachable": "warning",
    "worker.died": "error",
    "lease.lost": "warning",
    "handler.raised": "debug",
    "handler.untidy": "warning",
    "leases.left": "warning",
}


class Command(BaseCommand):
    """Options decide how much runs at once and from which queues."""

    help = (
        "Run tasks. SIGTERM or Ctrl-C claims no more and lets running tasks end within the grace period; a second one ends "
        "them at once and gives them back. Exit code 0: all that ran has ended; 4: running tasks had to be given back."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        default = settings.DTQ_WORKERS.concurrency
        parser.add_argument("--queues", default="", help="the queues to serve, comma-separated (default: all)")
        parser.add_argument(
            "--concurrency", type=int, default=default, help=f"tasks at once in a process (default: {default})"
        )
        parser.add_argument("--processes", type=int, default=1, help="how many processes (default: 1)")
        parser.add_argument(
            "--name", default=socket.gethostname(), help="the worker's name for people (default: the host's)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until told to stop."""
        queues = _queues(options["queues"])
        for option in ("concurrency", "processes"):
            if not 1 <= options[option] <= 1000:
                raise CommandError(f"--{option} must be from 1 to 1000, not {options[option]}.")
        if not registry.registered():
            raise CommandError("No handlers were found. Name modules with handlers in DTQ_HANDLERS.")
        demo.refuse_in_production()
        redis_index()  # the embedded Redis is held from here, so that children share it
        observer = Observer(log_events("dtq.worker", LEVELS))

        def build(slot: int) -> Worker:
            card = _card(options["name"], slot, options["processes"], queues, options["concurrency"])
            return Worker(
                card,
                DirectTransport(card),
                observer,
                lease=settings.DTQ_WORKERS.lease,
                grace=settings.DTQ_WORKERS.grace_period,
            )

        code = Supervisor(observer, options["processes"], build, _release, connections.close_all).run()
        sys.exit(code)


def _release(leases: Sequence[Lease]) -> None:
    gateway.release(leases)


def _queues(text: str) -> tuple[str, ...]:
    try:
        return tuple(check_queue(name) for name in text.split(",") if name.strip())
    except BadInput as error:
        raise CommandError(f"--queues: {error.message}") from None


def _card(name: str, slot: int, processes: int, queues: tuple[str, ...], concurrency: int) -> WorkerCard:
    return WorkerCard(
        id=uuid.uuid4(),
        name=name if processes == 1 else f"{name}/{slot + 1}",
        hostname=socket.gethostname(),
        pid=os.getpid(),
        queues=queues,
        handlers={handler.name: handler.declaration.to_json() for handler in registry.registered().values()},
        concurrency=concurrency,
        transport="direct",
        version=VERSION,
    )
