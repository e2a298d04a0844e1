"""Composes the app at start: recurring tasks get somebody who makes their schedules."""

from django.apps import AppConfig


class SchedulingConfig(AppConfig):
    """The app of schedules and schedulers."""

    name = "scheduling"

    def ready(self) -> None:
        """Fill the port by which tasks reach schedules, and add to what explains why a task is not running."""
        from scheduling import changes, explanation
        from tasks import recurrence
        from tasks.explanation import explain_by

        recurrence.fill(changes.create_recurring)
        explain_by(explanation.explain)
