"""Composes the app at start: what workers announce of their handlers becomes known to whoever creates tasks, why a task waits
for workers to whoever asks, and that a token was revoked to those who hold tasks by it."""

from django.apps import AppConfig


class WorkersConfig(AppConfig):
    """The app of workers."""

    name = "workers"

    def ready(self) -> None:
        """Answer for handlers that only workers know, for tasks that wait for workers and for accounts that have some; end the
        leases of tokens.
        """
        from accounts import worker_tokens
        from tasks import announced
        from tasks import selectors as tasks_selectors
        from tasks.explanation import explain_by
        from workers import announcements, explanation, remote, selectors

        announced.fill(announcements.announced_defaults)
        explain_by(explanation.explain)
        tasks_selectors.find_workers_by(selectors.registered_by)
        worker_tokens.when_revoked(remote.end_leases)
