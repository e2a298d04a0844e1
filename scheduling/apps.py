"""Composes the app at start: recurring tasks get somebody who makes their schedules."""

from django.apps import AppConfig


class SchedulingConfig(AppConfig):
    """The app of schedules and schedulers."""

    name = "scheduling"

    def ready(self) -> None:
        """Fill the port by which tasks reach schedules."""
        from scheduling import changes
        from tasks import recurrence

        recurrence.fill(changes.create_recurring)
