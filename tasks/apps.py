"""Composes the app at start: handlers are found, and `.enqueue()` gets its way into the database."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings


class TasksConfig(AppConfig):
    """The app of tasks."""

    name = "tasks"

    def ready(self) -> None:
        """Import every module with handlers, and let handlers submit through this process."""
        from tasks import submission
        from tasks.handling import discovery, port

        port.fill(submission.submit_from_code)
        discovery.discover(["tasks"], settings.DTQ_TASKS.handlers)
