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
from dtq_site.foundation.logging import log_events, say_always
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.version import VERSION
from tasks.domain.submission import check_queue
from tasks.handling import registry
from tasks.queue.dispatch import redis_index
from workers.domain.card import WorkerCard
from workers.offline.folder import OutboxFolder
from workers.runtime.events import LEVELS
from workers.runtime.held_table import HeldTable
from workers.runtime.keeper import Keeper
from workers.runtime.look_ahead import rows_for
from workers.runtime.supervisor import Supervisor
from workers.runtime.worker import Recycling, Worker
from workers.transports.direct import DirectTransport


class Command(BaseCommand):
    """Options decide how much runs at once and from which queues."""

    help = (
        "Run tasks. SIGTERM or Ctrl-C claims no more and lets running tasks end within the grace period; a second one ends "
        "them at once and gives them back. What cannot be delivered because the database is away is kept on disk and delivered "
        "by the next worker that is started here. Exit code 0: all that ran has ended, and its outcome is delivered or kept; "
        "4: running tasks had to be given back, or an outcome could not be kept."
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
        parser.add_argument(
            "--health-file",
            default=settings.DTQ_SITE.health_file,
            help="the file to keep fresh while all loops turn, for dtq-healthcheck (default: none)",
        )
        parser.add_argument(
            "--server",
            help="the GraphQL endpoint of a server whose database is not reached from here, such as "
            "https://dtq.example.com/graphql; `runworker --server URL --help` lists what such a worker takes",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until told to stop."""
        if options["server"] or settings.DTQ_REMOTE.server:
            raise CommandError(
                "A remote worker is started by manage.py itself, without Django, and reads no .env file: name the server by "
                "--server on its command line, or export DTQ_SERVER."
            )
        queues = _queues(options["queues"])
        for option, most in (("concurrency", 1000), ("processes", 200)):
            if not 1 <= options[option] <= most:
                raise CommandError(f"--{option} must be from 1 to {most}, not {options[option]}.")
        if not registry.registered():
            raise CommandError("No handlers were found. Name modules with handlers in DTQ_HANDLERS.")
        demo.refuse_in_production()
        settings.DEBUG = False  # else Django keeps the text of every statement, which costs more than the work
        redis_index()  # the embedded Redis is held from here, so that children share it
        observer = Observer(log_events("dtq.worker", LEVELS))

        workers = settings.DTQ_WORKERS
        outbox = OutboxFolder(observer, settings.DATA_FOLDER / "outbox", workers.outbox_mb * 1024 * 1024)

        def build(slot: int, table: HeldTable) -> Worker:
            card = _card(options["name"], slot, options["processes"], queues, options["concurrency"])
            say_always(worker=card.name)
            return Worker(
                card,
                DirectTransport(card),
                observer,
                table,
                outbox,
                lease=workers.lease,
                grace=workers.grace_period,
                recycling=Recycling(workers.recycle_after_tasks, workers.recycle_above_mb * 1024 * 1024),
            )

        def build_keeper(tables: Sequence[HeldTable]) -> Keeper:
            card = _card(options["name"], 0, 1, queues, options["concurrency"])
            return Keeper(
                observer,
                DirectTransport(card),
                tables,
                outbox.kept_leases,
                lease=workers.lease,
                hard_limit_after=workers.hard_limit_after,
            )

        supervisor = Supervisor(
            observer,
            options["processes"],
            build,
            build_keeper,
            connections.close_all,
            rows=rows_for(options["concurrency"]),
            grace_seconds=workers.grace_period.total_seconds(),
            health_file=options["health_file"],
            stuck_after_seconds=settings.DTQ_SITE.stuck_after.total_seconds(),
        )
        sys.exit(supervisor.run())


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
