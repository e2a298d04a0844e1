"""Tasks, requests that concern many of them, queues and the limits of handlers in the Django admin. It writes no row itself:
whatever is done here is done and noted by `tasks/changes.py`, and of webhooks by `tasks/webhooks/changes.py`.
"""

from tasks.admin import bulk_requests, queues, tasks, webhooks

__all__ = ["bulk_requests", "queues", "tasks", "webhooks"]
