"""Limits set on queues and handlers, and who waits for them."""

from __future__ import annotations

from tasks import limits, queues
from tasks.domain.limits import Kind, Limit, Scope
from tasks.domain.states import Hold, TaskStatus
from tasks.models import LimitWaiter
from tests.support.factories import START

WAITING, READY, RUNNING = (
    (TaskStatus.PENDING, Hold.LIMIT),
    (TaskStatus.QUEUED, Hold.NONE),
    (TaskStatus.PROCESSING, Hold.NONE),
)
CAP_OF_QUEUE = Limit(Kind.CAP, Scope.QUEUE, "default")
CAP_OF_HANDLER = Limit(Kind.CAP, Scope.HANDLER, "job")


def limit_queue(rate: str | None, burst: int | None = None, cap: int | None = None) -> None:
    """What an operator says of the queue "default"."""
    queues.ensure(["default"], START)
    queues.configure("default", {"rate_limit": rate, "burst": burst, "concurrency_limit": cap})
    limits.forget_known()


def cap_queue(cap: int | None, name: str = "default") -> None:
    """At most so many tasks of the queue run at a time."""
    queues.ensure([name], START)
    queues.configure(name, {"concurrency_limit": cap})
    limits.forget_known()


def cap_handler(cap: int | None, name: str = "job") -> None:
    """At most so many tasks of the handler run at a time."""
    limits.configure_handler(name, {"concurrency_limit": cap})


def waiters() -> list[tuple[object, str, str]]:
    """Who waits, for which limit and in which queue, the first first."""
    return list(LimitWaiter.objects.order_by("rank", "task_id").values_list("task_id", "limit", "queue"))
