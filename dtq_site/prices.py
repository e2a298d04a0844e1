"""What the fields of the API cost, where that is not a point: lists, and what takes the database more work than a row.

`api/costs.py` says how an operation's cost is added up. Every list of objects stands here, with its argument or an
estimate; a test sees to it.
"""

from __future__ import annotations

from collections.abc import Mapping

from dtq_site.api.costs import Price
from scheduling.graphql.types import MOST_RUNS
from tasks.graphql.queries import MOST_TASKS
from tasks.submission import MAX_TASKS_PER_CALL

_WRITE = Price(points=10)
_COUNT = Price(points=100)

PRICES: Mapping[str, Price] = {
    "Query.tasks": Price(points=10, sized_by="limit", most=MOST_TASKS),
    "Query.taskStats": _COUNT,
    "Query.queues": Price(items=20),
    "Queue.depth": Price(points=5),
    "Queue.processing": Price(points=5),
    "Query.workers": Price(items=50),
    "Query.schedules": Price(items=50),
    "Schedule.nextRuns": Price(sized_by="count", most=MOST_RUNS),
    "Query.previewSchedule": Price(sized_by="count", most=MOST_RUNS),
    "Query.users": Price(items=50),
    "Query.teams": Price(items=50),
    "Task.logs": Price(items=20),
    "Subscription.queueStats": Price(items=20),
    "Mutation.createTask": _WRITE,
    "Mutation.createTasks": Price(points=10, points_per_item=10, sized_by="inputs", most=MAX_TASKS_PER_CALL),
}
