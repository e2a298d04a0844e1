"""What workers that come by the API may ask of the door: the gateway, within the bounds of their account, team and token.

A worker belongs to the account that registered it, and to nobody else. It serves the account's team, and of its queues
those that its token allows. Its leases are short until it has renewed them once: the answer to a claim may be lost.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet

from accounts.identity import Identity
from accounts.roles import Role
from dtq_site.foundation.clock import Clock
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.errors import BadInput, Conflict, NotFound
from dtq_site.foundation.ids import parse_uuid
from tasks import audit, selectors, submission
from tasks.domain.lease import Lease, LeasedTask, RenewalVerdict
from tasks.domain.outcome import Outcome, OutcomeVerdict
from tasks.domain.states import MOVES, TaskStatus
from tasks.domain.submission import Request
from tasks.models import Task, TaskAttempt
from tasks.submission import Owner
from workers import gateway, presence
from workers.domain.card import WorkerCard
from workers.domain.liveness import WorkerStatus
from workers.gateway import Caller
from workers.models import Worker

TRANSPORT = "remote"
UNCONFIRMED_LEASE = timedelta(seconds=60)
"""The longest lease of a claim. Whoever renews it has got the answer, and may have a longer one."""

_AT_ONCE = 500

# --- who -----------------------------------------------------------------------------------------------------------


def register(card: WorkerCard, identity: Identity, clock: Clock = database_clock) -> Worker:
    """Make a worker of this account known, or replace what it said before.

    Raises BadInput on `queues` if the account's token allows none of them, NotFound if somebody else has that id.
    """
    if identity.grant and card.queues and not _allowed(card.queues, identity):
        raise BadInput(f"The token is for the queues {', '.join(sorted(identity.grant.queues))} only.", field="queues")
    presence.sign_on(card, clock.now(), account_id=identity.user_id, token_id=_token_of(identity))
    return worker_of(card.id, identity)


def worker_of(worker_id: UUID, identity: Identity) -> Worker:
    """The worker of that id, which this account has registered. Raises NotFound."""
    worker = Worker.objects.filter(pk=worker_id, account_id=identity.user_id).first()
    if worker is None:
        raise NotFound("There is no such worker of yours; register it first.")
    return worker


def beat(worker: Worker, identity: Identity, status: WorkerStatus, clock: Clock = database_clock) -> None:
    """Note that the worker lives, and what it says of itself."""
    presence.beat(worker.pk, status, clock.now(), token_id=_token_of(identity))


def no_longer_held(task_ids: Collection[UUID], identity: Identity) -> set[UUID]:
    """Those of the tasks that no worker of this account holds (any more)."""
    workers = Worker.objects.filter(account_id=identity.user_id).values("pk")
    held = Task.objects.filter(pk__in=task_ids, status=TaskStatus.PROCESSING, lease_owner__in=workers)
    return set(task_ids) - set(held.values_list("pk", flat=True))


def caller_of(worker: Worker, identity: Identity) -> Caller | None:
    """The worker at the door; None if there is no queue that both it and its token would serve."""
    queues = _allowed(worker.queues, identity)
    if not queues and (worker.queues or (identity.grant and identity.grant.queues)):
        return None
    return Caller(worker.pk, frozenset(worker.handlers), queues, identity.team_id)


def _allowed(queues: Collection[str], identity: Identity) -> frozenset[str]:
    """The queues to serve; where both the worker and its token name none, that is all, and none is named here."""
    granted = identity.grant.queues if identity.grant else frozenset()
    return granted & frozenset(queues) if granted and queues else granted or frozenset(queues)


def _token_of(identity: Identity) -> UUID | None:
    return identity.grant.token_id if identity.grant else None


# --- leases --------------------------------------------------------------------------------------------------------


def claim(
    worker: Worker,
    identity: Identity,
    claim_id: UUID,
    limit: int,
    lease: timedelta | None,
    *,
    repeated: bool = False,
    clock: Clock = database_clock,
) -> list[LeasedTask]:
    """Lease ready tasks of the account's team, for a minute at most; `lease` is what its first renewal is to grant."""
    caller = caller_of(worker, identity)
    if caller is None:
        return []
    seconds = worker.lease_seconds if lease is None else int(lease.total_seconds())
    if (seconds, _token_of(identity)) != (worker.lease_seconds, worker.token_id):
        presence.note_claim(worker.pk, seconds, _token_of(identity))
    granted = min(lease or UNCONFIRMED_LEASE, UNCONFIRMED_LEASE)
    return gateway.claim(caller, claim_id, limit, granted, repeated=repeated, clock=clock)


def renew(
    worker: Worker, leases: Sequence[Lease], length: timedelta | None, clock: Clock = database_clock
) -> tuple[dict[Lease, RenewalVerdict], timedelta]:
    """Extend leases by `length`, else by what the worker's last claim asked for; answers also how long they are now.

    Tasks that ask for it are kept for the worker beyond their leases from now on. A claim does not do that: its answer may
    be lost, and nobody would ever come back for them.
    """
    asked = length or timedelta(seconds=worker.lease_seconds or 0) or UNCONFIRMED_LEASE
    granted = min(asked, settings.DTQ_WORKERS.longest_remote_lease)
    return gateway.renew(leases, granted, clock, settings.DTQ_WORKERS.longest_hold), granted


def end_leases(token_id: UUID, clock: Clock = database_clock) -> None:
    """Give back to the line what workers hold that were last heard of with this token.

    What had begun counts as lost with its worker; of what was cancelled nobody waits any more to hear that it has stopped.
    """
    workers = Worker.objects.filter(token_id=token_id).values("pk")
    states = MOVES["cancel"].sources | MOVES["cancel"].targets
    held = Task.objects.filter(status__in=states, lease_expires_at__isnull=False, lease_owner__in=workers)
    leases: dict[bool, list[Lease]] = {True: [], False: []}
    for begun, status, *columns in held.values_list("begun", "status", "pk", "fencing_token", "claim_id"):
        leases[begun and status == TaskStatus.PROCESSING].append(Lease(*columns))
    for start in range(0, len(leases[True]), _AT_ONCE):
        gateway.forfeit(leases[True][start : start + _AT_ONCE], clock, "its token was revoked")
    for start in range(0, len(leases[False]), _AT_ONCE):
        gateway.release(leases[False][start : start + _AT_ONCE], clock)


# --- what they tell ------------------------------------------------------------------------------------------------


def report(
    outcomes: Sequence[Outcome], identity: Identity, clock: Clock = database_clock
) -> dict[Lease, OutcomeVerdict]:
    """Record outcomes; see `gateway.report`. Of a task that the account has no business with nothing is kept."""
    own = _own([outcome.lease for outcome in outcomes], identity)
    verdicts = dict.fromkeys((outcome.lease for outcome in outcomes), OutcomeVerdict.STALE_LEASE)
    return verdicts | gateway.report([outcome for outcome in outcomes if outcome.lease in own], clock)


def record(
    lines: Mapping[Lease, Sequence[audit.LogLine]],
    progress: Mapping[Lease, int],
    identity: Identity,
    clock: Clock = database_clock,
) -> int:
    """Keep log lines, those of lost leases too, and the progress of running tasks. Answers how many lines were taken."""
    own = _own(list(lines), identity)
    taken = [line for lease, those in lines.items() if lease in own for line in those]
    gateway.record(taken, progress, clock)
    return len(taken)


def enqueue(
    parent: Lease, requests: Sequence[Request], identity: Identity, clock: Clock = database_clock
) -> list[Task]:
    """Create tasks on behalf of one that the worker holds, or has held, in that task's team.

    Each needs an idempotency key, so that a repeated request creates nothing twice. It may wait for its parent, while the
    worker holds that, and for tasks that workers have created, in any queue. Raises as `submission.submit` does, but names
    no task that has used a key before, or NotFound if the account has no business with the parent or with a task that is to
    be waited for.
    """
    if parent not in _own([parent], identity):
        raise NotFound("There is no such task of yours.", field="parent")
    for index, request in enumerate(requests):
        if request.idempotency_key is None:
            raise BadInput("Make up a key, the same one when you repeat it.", field=f"inputs[{index}].idempotencyKey")
    _refuse_foreign_parents(requests, parent)
    team_id = Task.objects.values_list("team_id", flat=True).get(pk=parent.task_id)
    try:
        return submission.submit(requests, Owner(team_id, identity.user_id), clock)
    except Conflict as error:
        if identity.role is Role.WORKER and str(error.field).endswith("idempotencyKey"):
            error.details.pop("task", None)
        raise


def has_foreign(tasks: Sequence[Task], identity: Identity) -> bool:
    """Whether one of the tasks is none that workers have created, nor one that the account may see."""
    unseen = {task.pk for task in tasks} - set(selectors.visible_among([task.pk for task in tasks], identity))
    return bool(unseen - set(_of_workers(unseen).values_list("pk", flat=True)))


def _of_workers(task_ids: Collection[UUID]) -> QuerySet[Task]:
    return Task.objects.filter(pk__in=task_ids, user__role=Role.WORKER)


def _refuse_foreign_parents(requests: Sequence[Request], parent: Lease) -> None:
    """Who claims a task is told the results of those that it waits for: it must not choose them freely."""
    keys = {request.key for request in requests}
    named = {
        (index, position): parse_uuid(name)
        for index, request in enumerate(requests)
        for position, name in enumerate(request.depends_on or ())
        if name not in keys
    }
    foreign = set(named.values()) - {None}
    if foreign:
        held = Task.objects.filter(pk=parent.task_id, fencing_token=parent.fencing_token, claim_id=parent.claim_id)
        foreign -= {*held.values_list("pk", flat=True), *_of_workers(foreign).values_list("pk", flat=True)}
    for (index, position), task_id in named.items():
        if task_id in foreign:
            raise NotFound("There is no such task of yours.", field=f"inputs[{index}].dependsOn[{position}]")


def results(lease: Lease) -> dict[str, Any]:
    """What the tasks have returned that a task depends on which the worker holds; see `gateway.results`. Raises NotFound."""
    held = Task.objects.filter(status=TaskStatus.PROCESSING, claim_id=lease.claim_id, fencing_token=lease.fencing_token)
    if not held.filter(pk=lease.task_id).exists():
        raise NotFound("There is no such task of yours.", field="lease")
    return gateway.results(lease)


def _own(leases: Sequence[Lease], identity: Identity) -> set[Lease]:
    """Those that are in force, and the past ones of tasks of the account's team that are on record.

    Whoever held a lease knows its claim's id. The task keeps that of the last outcome, the other attempts are remembered with it.
    """
    known: set[Lease] = set()
    of_team: set[UUID] = set()
    columns = ("team_id", "pk", "fencing_token", "claim_id", "settled_token", "settled_claim_id")
    rows = Task.objects.filter(pk__in={each.task_id for each in leases})
    for team_id, task_id, token, claim_id, settled_token, settled_claim_id in rows.values_list(*columns):
        known.add(Lease(task_id, token, claim_id))
        if team_id == identity.team_id:
            of_team.add(task_id)
            known.add(Lease(task_id, settled_token, settled_claim_id))
    past = [each for each in leases if each not in known and each.task_id in of_team]
    return known.intersection(leases) | _ended(past, identity)


def _ended(leases: Sequence[Lease], identity: Identity) -> set[Lease]:
    """Those under which attempts ended that did not complete.

    Versions before 0.2.0 did not keep the claim's id; of what they recorded it must have been a worker of this account.
    """
    if not leases:
        return set()
    workers = Worker.objects.filter(account_id=identity.user_id).values("pk")
    ends = TaskAttempt.objects.filter(
        Q(claim_id__in={each.claim_id for each in leases}) | Q(claim_id=None, worker_id__in=workers),
        task_id__in={each.task_id for each in leases},
    ).exclude(ending=audit.REFUSED)
    known = set(ends.values_list("task_id", "fencing_token", "claim_id"))
    return {
        each
        for each in leases
        for claim_id in (each.claim_id, None)
        if (each.task_id, each.fencing_token, claim_id) in known
    }
