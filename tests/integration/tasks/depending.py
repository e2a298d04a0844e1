"""Tasks that wait for others, and how those end."""

from __future__ import annotations

from typing import Any

from tasks import submission
from tasks.domain.states import TaskStatus
from tasks.domain.submission import Request
from tasks.models import Task
from tasks.submission import Owner
from tests.support.factories import START, ManualClock, claim, completed, lease_of, make_team, reread, settle

PENDING, QUEUED, COMPLETED, CANCELLED = (
    TaskStatus.PENDING,
    TaskStatus.QUEUED,
    TaskStatus.COMPLETED,
    TaskStatus.CANCELLED,
)
NOT_COMPLETED = (TaskStatus.FAILED, TaskStatus.DEAD_LETTER, TaskStatus.CANCELLED)


def depending_on(*parents: Task, team: str = "team", now: Any = START, **request: Any) -> Task:
    """A task that waits for these."""
    wanted = Request(**{"name": "job", "depends_on": [str(parent.pk) for parent in parents], **request})
    return submission.submit_one(wanted, Owner(make_team(team).pk, None), ManualClock(now))


def workflow(**graph: str) -> dict[str, Task]:
    """Tasks by their keys; each key's text names those that it depends on."""
    requests = [Request(name="job", key=key, depends_on=needs.split()) for key, needs in graph.items()]
    tasks = submission.submit(requests, Owner(make_team().pk, None), ManualClock(), argument="tasks")
    return dict(zip(graph, tasks, strict=True))


def end(task: Task, outcome: Any = completed, now: Any = START) -> None:
    """Have a worker run the task and report this."""
    (won,) = claim([reread(task)], now)
    assert settle(outcome(lease_of(won)), now=now) == ["ACCEPTED"]


def standing(*tasks: Task) -> list[tuple[str, str]]:
    """The status of each, and what holds it."""
    return [(task.status, task.hold) for task in map(reread, tasks)]
