"""`manage.py serve`: the API and the pages on one or more Daphne processes behind one port, as production runs them."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from accounts import demo
from dtq_site.foundation.embedded_redis import hold
from dtq_site.foundation.logging import log_events
from dtq_site.foundation.observer import Observer
from dtq_site.options import MOST_API_PROCESSES
from dtq_site.serving import LEVELS, ServerGroup, listen


class Command(BaseCommand):
    """Options decide where it listens, and how many processes answer."""

    help = (
        "Serve the API and the pages until SIGTERM or Ctrl-C, which lets the processes end; a second one kills them. A process "
        "that dies is replaced, and the others go on meanwhile. /metrics is answered by any one of the processes: what is read "
        "from the database is of the whole installation, but dtq_subscriptions_open, dtq_sockets_open, dtq_claims_waiting and "
        "all django_… and process_… metrics are of that process alone. Exit code 0: all processes have ended by themselves; 1: "
        "some had to be killed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        site = settings.DTQ_SITE
        parser.add_argument("--host", default="127.0.0.1", help="the IPv4 address to listen on (default: 127.0.0.1)")
        parser.add_argument("--port", type=int, default=site.port, help=f"the port (default: {site.port})")
        parser.add_argument(
            "--processes",
            type=int,
            default=site.api_processes,
            help=f"how many processes answer (default: {site.api_processes})",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until told to stop."""
        for option, most in (("port", 65535), ("processes", MOST_API_PROCESSES)):
            if not 1 <= options[option] <= most:
                raise CommandError(f"--{option} must be from 1 to {most}, not {options[option]}.")
        demo.refuse_in_production()
        connections.close_all()
        try:
            listening = listen(options["host"], options["port"])
        except OSError as error:
            raise CommandError(
                f"The API cannot listen: {error.strerror}. Choose another address with --host or --port."
            ) from None
        if settings.REDIS_IS_EMBEDDED:
            hold(settings.EMBEDDED_REDIS_FOLDER)  # by the parent, so that it outlives every child
        module, _, name = settings.ASGI_APPLICATION.rpartition(".")
        group = ServerGroup(
            Observer(log_events("dtq.server", LEVELS)),
            [sys.executable, "-m", "dtq_site.server", "--fd", str(listening.fileno()), f"{module}:{name}"],
            listening,
            count=options["processes"],
            folder=settings.BASE_DIR,
        )
        sys.exit(group.run())
