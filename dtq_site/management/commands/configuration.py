"""`manage.py configuration`: every setting as a page of the documentation or as an example `.env`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from dtq_site import configuration


class Command(BaseCommand):
    """Print all settings, from their declarations."""

    help = "Print every setting, as docs/CONFIGURATION.md (--markdown) or as .env.example (--env)."
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Take one of the two forms."""
        form = parser.add_mutually_exclusive_group(required=True)
        form.add_argument("--markdown", dest="text", action="store_const", const=configuration.markdown)
        form.add_argument("--env", dest="text", action="store_const", const=configuration.env_example)

    def handle(self, *args: Any, **options: Any) -> None:
        """Print it."""
        self.stdout.write(options["text"](), ending="")
