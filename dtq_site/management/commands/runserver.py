"""`manage.py runserver`: the API and the pages on Daphne, on the port of the settings."""

from __future__ import annotations

from typing import Any

from daphne.management.commands.runserver import Command as DaphneCommand
from django.conf import settings

from dtq_site.foundation.embedded_redis import hold


class Command(DaphneCommand):
    """Daphne's development server; it holds the embedded Redis for as long as it runs."""

    default_port = str(settings.DTQ_SITE.port)

    def log_action(self, protocol: str, action: str, details: dict[str, Any]) -> None:
        """Daphne's line, without what follows the `?` of an address: that may be a password or a token."""
        super().log_action(protocol, action, {**details, "path": details["path"].partition("?")[0]})

    def run(self, **options: Any) -> None:
        """Hold the embedded Redis, in the reloader's parent too, so that it outlives a reload; then serve."""
        if settings.REDIS_IS_EMBEDDED:
            hold(settings.EMBEDDED_REDIS_FOLDER)
        super().run(**options)
