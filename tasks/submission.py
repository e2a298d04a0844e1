"""The use case of creating tasks: check, complete by defaults, honour idempotency keys, insert.

From the API it comes as `submit`, from handlers and other code of this installation as `submit_from_code`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, IntegrityError, connection

from accounts.registration import DEFAULT_TEAM, team_id_named
from dtq_site.foundation import strict_json
from dtq_site.foundation.clock import Clock
from dtq_site.foundation.connections import is_unavailable, reading
from dtq_site.foundation.database import database_clock, ids
from dtq_site.foundation.errors import BadInput, Conflict, NotFound
from dtq_site.foundation.ids import parse_uuid
from tasks import lifecycle
from tasks.announced import declared_defaults
from tasks.domain.submission import Defaults, NewTask, Request, TaskSpec, make_spec, resolve_name
from tasks.domain.workflow import Ties, check_graph, field_of, make_ties, parents_of
from tasks.handling import port
from tasks.models import Task
from tasks.recurrence import Recurrence, make_schedule

Checked = TypeVar("Checked")

MAX_TASKS_PER_CALL = 1000


@dataclass(frozen=True)
class Owner:
    """For whom tasks are created."""

    team_id: UUID
    user_id: UUID | None


def submit(
    requests: Sequence[Request], owner: Owner, clock: Clock = database_clock, *, argument: str = "inputs"
) -> list[Task]:
    """Create tasks, all or none, and return them in the order of the requests. They may depend on each other by keys.

    A request whose idempotency key the team has used before is answered with the task of that time. Raises BadInput
    naming the field after the `argument` (``inputs[3].payload``), Conflict likewise if a key was used for another name or
    payload, or NotFound for a task that is to be depended on.
    """
    if len(requests) > MAX_TASKS_PER_CALL:
        raise BadInput(
            f"{len(requests):,} tasks in one call; at most {MAX_TASKS_PER_CALL:,} are allowed.", field=argument
        )
    now = clock.now()
    specs = [
        _within(f"{argument}[{index}]", lambda request=request: check(request, now, owner.team_id))
        for index, request in enumerate(requests)
    ]
    return _create(specs, _ties(requests, argument), owner, now, argument)


def submit_one(request: Request, owner: Owner, clock: Clock = database_clock) -> Task:
    """Create one task. Raises as `submit` does, with fields named without an index (``payload``)."""
    now = clock.now()
    return _create([check(request, now, owner.team_id)], _ties([request]), owner, now)[0]


def submit_recurring(request: Request, recurrence: Recurrence, owner: Owner, clock: Clock = database_clock) -> Task:
    """Make a schedule and return its coming occurrence, a PENDING task. Raises BadInput naming the field."""
    if request.scheduled_at is not None or request.delay_seconds is not None:
        raise BadInput("A recurring task is due when its cron expression says; leave out scheduledAt and delaySeconds.",
                       field="scheduledAt" if request.scheduled_at is not None else "delaySeconds")  # fmt: skip
    if request.depends_on:
        raise BadInput("A recurring task depends on no other: it runs when it is due.", field="dependsOn")
    if request.idempotency_key is not None:
        raise BadInput(
            "A recurring task has no idempotencyKey: each occurrence has one of its own.", field="idempotencyKey"
        )
    if request.when_lost is not None:
        raise BadInput(
            "Of a recurring task its handler's declaration says what is done when it is lost.", field="whenLost"
        )
    now = clock.now()
    return make_schedule()(check(request, now, owner.team_id), recurrence, owner.team_id, owner.user_id, now)


def submit_from_code(requests: Sequence[port.EnqueueRequest]) -> list[Task]:
    """Create tasks for `.enqueue()` and `.enqueue_many()`, in the caller's transaction if there is one.

    They belong to the team ``default``; those that a running handler makes belong to its task's (see `submit`).
    """
    now = database_clock.now()
    wanted = [request_from_code(each) for each in requests]
    owner = Owner(reading(lambda: team_id_named(DEFAULT_TEAM)), None)
    specs = reading(lambda: [check(request, now, owner.team_id) for request in wanted])
    return _create(specs, _ties(wanted), owner, now)


def request_from_code(asked: port.EnqueueRequest) -> Request:
    """The request that an `.enqueue()` means."""
    return Request(
        name=asked.name,
        payload=asked.payload,
        queue=asked.queue,
        priority=asked.priority,
        delay_seconds=asked.delay_seconds,
        scheduled_at=asked.scheduled_at,
        idempotency_key=asked.idempotency_key,
        max_retries=asked.max_retries,
        timeout_seconds=asked.timeout_seconds,
        depends_on=asked.depends_on,
        on_dependency_failure=asked.on_dependency_failure,
        when_lost=asked.when_lost,
        key=asked.key,
    )


def check(request: Request, now: datetime, team_id: UUID) -> TaskSpec:
    """The request of that team, complete and checked. Raises BadInput naming the field."""
    name = resolve_name(request)
    return make_spec(request, name, defaults_of(name, team_id), now, settings.DTQ_TASKS.max_json_bytes)


def defaults_of(name: str, team_id: UUID) -> Defaults:
    """What a new task of that team for that handler gets where its creator is silent."""
    options = settings.DTQ_TASKS
    return _completed(declared_defaults(name, team_id), options.retry_attempts, options.default_timeout)


@functools.lru_cache(maxsize=1024)
def _completed(declared: Defaults, max_retries: int, timeout: timedelta) -> Defaults:
    return declared.over(Defaults(None, None, max_retries, timeout.total_seconds()))


def _ties(requests: Sequence[Request], argument: str = "") -> Sequence[Ties]:
    """What the tasks of a call depend on, checked; nothing if none has to do with any other."""
    if not any(each.depends_on or each.key or each.on_dependency_failure for each in requests):
        return ()
    ties = [
        _within(
            f"{argument}[{index}]" if argument else "",
            lambda each=each: make_ties(each.depends_on, each.on_dependency_failure, each.key),
        )
        for index, each in enumerate(requests)
    ]
    check_graph(ties, argument)
    _refuse_repeated_keys(requests, argument)
    return ties


def _refuse_repeated_keys(requests: Sequence[Request], argument: str) -> None:
    """One task in two places of a graph could wait for itself."""
    seen: set[str] = set()
    for index, request in enumerate(requests):
        if request.idempotency_key in seen:
            raise BadInput(
                "Two tasks of a workflow have this idempotencyKey.", field=field_of(argument, index, "idempotencyKey")
            )
        seen |= {request.idempotency_key} - {None}


def _within(place: str, check: Callable[[], Checked]) -> Checked:
    try:
        return check()
    except BadInput as error:
        if not place:
            raise
        raise error.within(place) from None


# --- the insert ----------------------------------------------------------------------------------------------------


def _create(
    specs: Sequence[TaskSpec], ties: Sequence[Ties], owner: Owner, now: datetime, argument: str = ""
) -> list[Task]:
    """Insert what is new; a key that another request takes at the same moment is looked up on the second round.

    `argument` is what the list of the requests is called where a field is named; one that stands alone is in none.
    """
    earlier = _earlier(specs, owner)
    for _ in range(3):
        _refuse_other_uses(specs, earlier, argument)
        fresh = _without_repeats([spec for spec in specs if spec.idempotency_key not in earlier])
        task_ids = ids.new(len(fresh)) if fresh else []
        new_tasks = [NewTask(spec, owner.team_id, owner.user_id) for spec in fresh]
        if ties:
            new_tasks = _tied(new_tasks, task_ids, specs, ties, earlier)
        try:
            made = _insert(new_tasks, task_ids, now)
        except (NotFound, Conflict) as error:
            raise _blamed(error, ties, argument) from None
        except IntegrityError:
            known_before, earlier = len(earlier), _earlier(specs, owner)
            if len(earlier) == known_before:
                raise  # it was not a key
            continue
        known = earlier | {task.idempotency_key: task for task in made if task.idempotency_key is not None}
        unkeyed = iter([task for task in made if task.idempotency_key is None])
        return [next(unkeyed) if spec.idempotency_key is None else known[spec.idempotency_key] for spec in specs]
    raise Conflict("Other requests keep using the same idempotency keys; try again.", field="idempotencyKey")


def _tied(
    new_tasks: Sequence[NewTask],
    task_ids: Sequence[UUID],
    specs: Sequence[TaskSpec],
    ties: Sequence[Ties],
    earlier: Mapping[str | None, Task],
) -> list[NewTask]:
    """The new tasks with what they wait for; the keys of the call mean tasks of it, or those that were created earlier."""
    new_ids = iter(task_ids)
    all_ids = [earlier[spec.idempotency_key].pk if spec.idempotency_key in earlier else next(new_ids) for spec in specs]
    ids_by_key = {each.key: id_ for each, id_ in zip(ties, all_ids, strict=True) if each.key is not None}
    ties_by_id = dict(zip(all_ids, ties, strict=True))
    return [
        replace(new, parents=parents_of(ties_by_id[id_], ids_by_key), on_failure=ties_by_id[id_].on_failure)
        for new, id_ in zip(new_tasks, task_ids, strict=True)
    ]


def _blamed(error: NotFound | Conflict, ties: Sequence[Ties], argument: str) -> NotFound | Conflict:
    """The same error with the field that names the task which cannot be depended on."""
    for index, each in enumerate(ties):
        for position, name in enumerate(each.depends_on):
            if error.field is None and str(parse_uuid(name)) == error.details.get("task"):
                error.field = field_of(argument, index, f"dependsOn[{position}]")
    return error


def _insert(new_tasks: list[NewTask], task_ids: list[UUID], now: datetime) -> list[Task]:
    """Insert; when the answer to the commit was lost, try once more: a duplicate id then says that it had succeeded."""
    if not new_tasks:
        return []
    connection.ensure_connection()  # one that cannot be had leaves no doubt: nothing was sent
    try:
        return lifecycle.create(new_tasks, now, task_ids)
    except DatabaseError as error:
        if connection.in_atomic_block or not is_unavailable(error):
            raise
        connection.close()
    try:
        return lifecycle.create(new_tasks, now, task_ids)
    except IntegrityError:
        found = Task.objects.in_bulk(task_ids)
        if len(found) != len(task_ids):
            raise
        return [found[id_] for id_ in task_ids]


def _earlier(specs: Sequence[TaskSpec], owner: Owner) -> dict[str | None, Task]:
    keys = {spec.idempotency_key for spec in specs} - {None}
    if not keys:
        return {}
    found = Task.objects.filter(team_id=owner.team_id, idempotency_key__in=keys).defer("result")
    return {task.idempotency_key: task for task in reading(lambda: list(found))}


def _without_repeats(specs: list[TaskSpec]) -> list[TaskSpec]:
    """One call may name a key twice; the first one counts."""
    seen: set[str] = set()
    fresh = []
    for spec in specs:
        if spec.idempotency_key is None or spec.idempotency_key not in seen:
            fresh.append(spec)
        seen.add(spec.idempotency_key or "")
    return fresh


def _refuse_other_uses(specs: Sequence[TaskSpec], earlier: Mapping[str | None, Task], argument: str) -> None:
    """Before anything is written: a key stands for one name and payload, in the team and within the call."""
    first: dict[str | None, Task | TaskSpec] = dict(earlier)
    for index, spec in enumerate(specs):
        if spec.idempotency_key is None:
            continue
        same = first.setdefault(spec.idempotency_key, spec)
        if same.name != spec.name or strict_json.canonical(same.payload) != strict_json.canonical(spec.payload):
            raise Conflict(
                "This idempotency key was used for a task with another name or payload.",
                field=field_of(argument, index, "idempotencyKey"),
                **({"task": str(same.pk)} if isinstance(same, Task) else {}),
            )
