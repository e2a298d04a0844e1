"""Composes the app at start: handlers and tasks of Django's kind are found, `.enqueue()` gets its way into the database, and
lost deadlocks are counted.
"""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings


class TasksConfig(AppConfig):
    """The app of tasks."""

    name = "tasks"

    def ready(self) -> None:
        """Import every module with handlers, let handlers submit through this process, count the floor's lock conflicts."""
        from dtq_site.foundation import database
        from tasks import metrics, submission
        from tasks.django_tasks import declared
        from tasks.handling import discovery, port, registry

        database.count_conflicts_by(metrics.record_conflicts)
        port.fill(submission.submit_from_code)
        for module in discovery.discover(["tasks"], []):
            registry.withdraw(settings.DTQ_TASKS.disabled_handlers, module)
        discovery.discover([], settings.DTQ_TASKS.handlers)
        declared.discover()
