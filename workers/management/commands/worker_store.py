"""`manage.py worker_store`: what a remote worker keeps on this disk. `manage.py` runs it without Django."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from workers.offline.contents import describe


class Command(BaseCommand):
    """Reads files, whoever holds them, and changes nothing."""

    help = (
        "Print what a remote worker keeps on this disk: what it holds, and what it has not delivered. Needs no server."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the option."""
        parser.add_argument("--store", default=settings.DTQ_REMOTE.store, help="the folder")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print it."""
        self.stdout.write("\n".join(describe(Path(options["store"]).expanduser())))
