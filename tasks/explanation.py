"""Why a task is not running, read from the rows.

Each part looks at the task for its own kind of reasons; the parts answer in the order in which they were added. Apps above
add theirs with `explain_by` when they start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from django.db.models import Q

from tasks import limit_reasons, locks, parents
from tasks.domain.reasons import Reason, ReasonCode
from tasks.domain.states import TERMINAL, Hold, TaskStatus
from tasks.models import NamedLock, Queue, Task, TaskAttempt

MOST_AHEAD = 10_000
"""Up to how many tasks ahead are counted."""

MOST_NAMED = 10
"""How many of the tasks for which one waits are named."""

LONGEST_GIST = 200

Part = Callable[[Task, datetime], Iterable[Reason]]


def explain(task: Task, now: datetime) -> list[Reason]:
    """All reasons that hold, at least one. Last comes that others go before it, for that passes by itself."""
    reasons = [reason for part in _parts for reason in part(task, now)]
    reasons.sort(key=lambda reason: reason.code is ReasonCode.TASKS_AHEAD)
    return reasons or [Reason(ReasonCode.READY, "Nothing stands in its way: the next free worker takes it.")]


def explain_by(part: Part) -> None:
    """Have a part say its reasons too, after those that are there. Asked again it changes nothing: apps may start twice."""
    if part not in _parts:
        _parts.append(part)


# --- ended or running ----------------------------------------------------------------------------------------------


def _ended(task: Task, now: datetime) -> Iterator[Reason]:
    match task.status:
        case TaskStatus.COMPLETED:
            yield Reason(ReasonCode.COMPLETED, "It is done.")
        case TaskStatus.FAILED:
            yield Reason(ReasonCode.FAILED, f"Its handler gave it up: {_gist(task.error)}")
        case TaskStatus.CANCELLED:
            yield Reason(ReasonCode.CANCELLED, "It was cancelled.")
            if _is_held(task, now):
                yield Reason(
                    ReasonCode.CANCEL_UNHEARD,
                    f"Its worker has not acknowledged that yet; {_at_the_latest(task.lease_expires_at)}.",
                    until=task.lease_expires_at,
                    worker_id=task.lease_owner,
                )
        case TaskStatus.DEAD_LETTER:
            yield _dead_letter(task)


def _dead_letter(task: Task) -> Reason:
    last = TaskAttempt.objects.filter(task_id=task.pk).exclude(ending="refused").order_by("pk").last()
    if last is not None and last.ending == "lost":
        return Reason(
            ReasonCode.WORKER_LOST,
            f"It is a dead letter: it lost its worker {task.lost_leases} times, as it may not again.",
            worker_id=last.worker_id,
        )
    attempts = task.attempts - task.earlier_attempts
    return Reason(
        ReasonCode.ATTEMPTS_USED_UP,
        f"It is a dead letter: attempt {attempts} of {task.max_retries + 1} failed too: {_gist(task.error)}",
    )


def _running(task: Task, now: datetime) -> Iterator[Reason]:
    if task.status != TaskStatus.PROCESSING:
        return
    if task.held_until is not None and not _is_held(task, now):
        yield Reason(
            ReasonCode.HELD_FOR_WORKER,
            f"The lease of worker {task.lease_owner} ended at {_moment(task.lease_expires_at)}; the task is kept for it until "
            f"{_moment(task.held_until)}, unless somebody cancels or reassigns it.",
            until=task.held_until,
            worker_id=task.lease_owner,
        )
    else:
        yield Reason(
            ReasonCode.RUNNING,
            f"It is running: worker {task.lease_owner} holds it until {_moment(task.lease_expires_at)} and renews that.",
            until=task.lease_expires_at,
            worker_id=task.lease_owner,
        )


# --- waiting -------------------------------------------------------------------------------------------------------


def _held_back(task: Task, now: datetime) -> Iterator[Reason]:
    if task.status != TaskStatus.PENDING:
        return
    if _is_held(task, now):
        yield Reason(
            ReasonCode.CANCELLED_ATTEMPT,
            "The attempt that was cancelled before may still run: its worker has not acknowledged it; "
            f"{_at_the_latest(task.lease_expires_at)}.",
            until=task.lease_expires_at,
            worker_id=task.lease_owner,
        )
    elif task.hold == Hold.DEPENDENCY:
        yield from _waits_for_parents(task)
    elif task.hold == Hold.LOCK and task.lock is not None:
        yield _waits_for_lock(task, task.lock)
    elif (code := _WAITS.get(task.hold)) is not None:
        is_due = task.scheduled_at is not None and task.scheduled_at <= now
        said = "It has been due since" if is_due else _SAID_OF[code]
        yield Reason(code, f"{said} {_moment(task.scheduled_at)}.", until=task.scheduled_at)


_WAITS = {Hold.DUE: ReasonCode.DUE_LATER, Hold.BACKOFF: ReasonCode.BACKOFF, Hold.SCHEDULE: ReasonCode.SCHEDULED}
_SAID_OF = {
    ReasonCode.DUE_LATER: "It is not due until",
    ReasonCode.BACKOFF: "Its last attempt did not succeed; it is tried again at",
    ReasonCode.SCHEDULED: "It is the coming occurrence of its schedule, released at",
}


def _waits_for_lock(task: Task, name: str) -> Reason:
    lock: NamedLock | None = locks.peeked([name]).get(name)
    if lock is None or lock.holder_id is None:
        return Reason(ReasonCode.LOCK_HELD, f"It waits for its turn with the lock {name!r}.")
    own = Task.objects.filter(pk=lock.holder_id, team_id=task.team_id).exists()  # of others' tasks one learns nothing
    holder = f"task {lock.holder_id}" if own else "a task of another team"
    held = f"The lock {name!r} is held by {holder}."
    return Reason(ReasonCode.LOCK_HELD, held, until=lock.ends_at, task_id=lock.holder_id if own else None)


def _waits_for_parents(task: Task) -> Iterator[Reason]:
    found, count = parents.awaited_by(task.pk, MOST_NAMED)
    for parent in found:
        message = f"It waits for task {parent.pk} ({parent.name}), which is {parent.status}."
        if parent.status in TERMINAL:
            message += " It goes on once that one is retried and completes."
        yield Reason(ReasonCode.DEPENDENCY, message, task_id=parent.pk)
    if count > len(found):
        yield Reason(ReasonCode.DEPENDENCY, f"It waits for {count - len(found):,} more tasks.")


def _queue(task: Task, now: datetime) -> Iterator[Reason]:
    if task.status not in (TaskStatus.PENDING, TaskStatus.QUEUED):
        return
    if Queue.objects.filter(name=task.queue, paused=True).exists():
        yield Reason(ReasonCode.QUEUE_PAUSED, f"Its queue {task.queue!r} is paused.", queue=task.queue)


def _ahead(task: Task, now: datetime) -> Iterator[Reason]:
    if task.status != TaskStatus.QUEUED:
        return
    before = Q(rank__lt=task.rank) | Q(rank=task.rank, id__lt=task.pk)
    line = Task.objects.filter(before, queue=task.queue, status=TaskStatus.QUEUED, rank__lte=task.rank)
    ahead = line.order_by("rank", "id").values("pk")[:MOST_AHEAD].count()
    if ahead:
        number = f"{ahead:,}" if ahead < MOST_AHEAD else f"at least {ahead:,}"
        tasks = "task goes" if ahead == 1 else "tasks go"
        yield Reason(
            ReasonCode.TASKS_AHEAD,
            f"In its queue {task.queue!r} {number} {tasks} before it, by priority and then by age.",
            queue=task.queue,
        )


# --- words ---------------------------------------------------------------------------------------------------------


def _is_held(task: Task, now: datetime) -> bool:
    return task.lease_expires_at is not None and task.lease_expires_at > now


def _at_the_latest(moment: datetime | None) -> str:
    return f"at the latest it counts as stopped at {_moment(moment)}"


def _gist(error: str) -> str:
    """The beginning of an error; all of it is on the task."""
    first = error.strip().partition("\n")[0]
    return f"{first[:LONGEST_GIST]}…" if len(first) > LONGEST_GIST else first


def _moment(moment: datetime | None) -> str:
    return "an unknown moment" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


_parts: list[Part] = [_ended, _running, _held_back, limit_reasons.explain, _queue, _ahead]
