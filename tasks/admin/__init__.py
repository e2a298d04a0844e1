"""Tasks, requests that concern many of them, queues and the limits of handlers in the Django admin. It writes no row itself:
whatever is done here is done and noted by `tasks/changes.py`.
"""

from tasks.admin import bulk_requests, queues, tasks

__all__ = ["bulk_requests", "queues", "tasks"]
