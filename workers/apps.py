"""Composes the app at start: what workers announce of their handlers becomes known to whoever creates tasks, and why
a task waits for workers to whoever asks."""

from django.apps import AppConfig


class WorkersConfig(AppConfig):
    """The app of workers."""

    name = "workers"

    def ready(self) -> None:
        """Answer for handlers that only workers know, and for tasks that wait for workers."""
        from tasks import announced
        from tasks.explanation import explain_by
        from workers import explanation, selectors

        announced.fill(selectors.announced_defaults)
        explain_by(explanation.explain)
