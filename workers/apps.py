"""Composes the app at start: what workers announce of their handlers becomes known to whoever creates tasks."""

from django.apps import AppConfig


class WorkersConfig(AppConfig):
    """The app of workers."""

    name = "workers"

    def ready(self) -> None:
        """Answer for handlers that only workers know."""
        from tasks import announced
        from workers import selectors

        announced.fill(selectors.announced_defaults)
