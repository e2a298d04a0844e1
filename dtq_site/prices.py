"""What the fields of the API cost, where that is not a point: lists, and what takes the database more work than a row.

`api/costs.py` says how an operation's cost is added up. Every list of objects stands here, with its argument or an
estimate; a test sees to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from accounts.graphql import arguments as accounts
from dtq_site.api.costs import Price
from scheduling.graphql.types import MOST_RUNS
from tasks.submission import MAX_TASKS_PER_CALL
from workers.graphql import inputs as workers

_FILTERED_TEXTS = ("filter.search", "filter.error")
_TEXT = 5_000  # to look for it in 5,000 tasks takes up to a fifth of a second
_PAGE_OF_TASKS = Price(points=200, items=accounts.DEFAULT_LIMIT, most=accounts.MOST, points_per_text=_TEXT)
_PAGE = Price(sized_by="limit", most=accounts.MOST, offset_by="offset")
_MANY_WRITES = Price(points=1_000, texts=_FILTERED_TEXTS, points_per_text=_TEXT)
_UP_TO_256_KIB = Price(points=20)
_COMING_RUNS = Price(points_per_item=20, sized_by="count", most=MOST_RUNS)
_LEASES = Price(points=10, points_per_item=2, sized_by="leases", most=workers.MOST_ITEMS)
_HASHED_PASSWORD = Price(points=5_000)  # a tenth of a second of a core

PRICES: Mapping[str, Price] = {
    "Query.tasks": replace(_PAGE_OF_TASKS, sized_by="limit", offset_by="offset", texts=("search",)),
    "Query.tasksConnection": replace(_PAGE_OF_TASKS, sized_by="first", texts=_FILTERED_TEXTS),
    "Query.taskStats": Price(points=1_000),
    "Query.explain": Price(points=100),
    "Query.history": Price(points=10_000),  # 90 days take a quarter of a second of a core
    "History.queues": Price(items=20),
    "Query.deadLetterGroups": Price(points=500, sized_by="limit", most=accounts.MOST),
    "Task.endings": Price(points=10, items=5),
    "Query.queues": Price(items=20),
    "Query.handlerLimits": Price(items=20),
    "Queue.depth": Price(points=5),
    "Queue.processing": Price(points=5),
    "Queue.oldestQueuedAt": Price(points=5),
    "Query.workers": Price(items=50),
    "Query.schedules": Price(items=50),
    "Query.users": _PAGE,
    "Query.workerTokens": _PAGE,
    "Query.webhooks": _PAGE,
    "Query.webhookDeliveries": replace(_PAGE, points=10, points_per_item=5),
    "WebhookDelivery.attempts": Price(items=3),
    "Query.teams": _PAGE,
    "Query.previewSchedule": replace(_COMING_RUNS, points_per_item=50),  # of any expression
    "Schedule.nextRuns": _COMING_RUNS,
    "Schedule.payload": _UP_TO_256_KIB,
    "Query.health": Price(points=1_000),
    "Task.payload": _UP_TO_256_KIB,
    "Task.result": _UP_TO_256_KIB,
    "Task.logs": Price(points=10, items=50),
    "Task.dependsOn": Price(items=5),
    "Explanation.reasons": Price(items=5),
    "Health.checks": Price(items=5),
    "Mutation.register": _HASHED_PASSWORD,
    "Mutation.login": _HASHED_PASSWORD,
    "Mutation.changePassword": _HASHED_PASSWORD,
    "Mutation.createUser": _HASHED_PASSWORD,
    "Mutation.setPassword": _HASHED_PASSWORD,
    "Mutation.createTask": Price(points=10),
    "Mutation.createTasks": Price(points=10, points_per_item=10, sized_by="inputs", most=MAX_TASKS_PER_CALL),
    "Mutation.createWorkflow": Price(points=10, points_per_item=10, sized_by="tasks", most=MAX_TASKS_PER_CALL),
    "Mutation.claimTasks": Price(points=10, sized_by="limit", most=workers.MOST_CLAIMED),
    "Mutation.heartbeat": replace(_LEASES, sized_by="activeTasks", items=0),
    "Mutation.beginTasks": _LEASES,
    "Mutation.renewLeases": _LEASES,
    "Mutation.recordProgress": replace(_LEASES, sized_by="records"),
    "Mutation.reportOutcomes": replace(_LEASES, sized_by="outcomes"),
    "Mutation.releaseTasks": _LEASES,
    "Mutation.forfeitTasks": _LEASES,
    "Mutation.enqueueTasks": Price(points=10, points_per_item=10, sized_by="inputs", most=MAX_TASKS_PER_CALL),
    "Mutation.cancelTasks": _MANY_WRITES,
    "Mutation.retryTasks": _MANY_WRITES,
}
