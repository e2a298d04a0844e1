"""The operations for workers of the GraphQL API, each as one call. Knows how they are spelled, and nothing of when to use them.

A server that has forgotten the worker is told of it again, and asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from dtq_site.foundation.batches import by_weight
from tasks.domain.lease import Lease, LeasedTask, RenewalVerdict
from tasks.domain.locks import LockAnswer, LockVerdict
from tasks.domain.outcome import Outcome, OutcomeVerdict
from workers.domain.card import WorkerCard
from workers.offline.rows import AskedClaim, Creation
from workers.transports import wire
from workers.transports.base import Note, Renewal
from workers.transports.graphql_client import GraphQLClient, ServerRefused

Item = TypeVar("Item")

MOST_CLAIMED = 100
MOST_ITEMS = 1000


class WorkerApi:
    """What one worker asks of the server. Every method may raise Unreachable or ServerRefused."""

    def __init__(self, client: GraphQLClient, card: WorkerCard) -> None:
        self._client = client
        self._card = card

    def register(self) -> None:
        """Make the worker known."""
        self._client.ask("register_worker", {"input": wire.write_card(self._card)})

    def beat(self, status: str) -> None:
        """Say that the worker lives, or has ended."""
        self._ask("heartbeat", status=status)

    def claim(
        self, claim_id: UUID, limit: int, lease: timedelta, wait_seconds: int = 0, *, repeated: bool = False
    ) -> list[LeasedTask]:
        """Claim tasks; wait for some if there are none."""
        answer = self._ask(
            "claim_tasks",
            claimId=str(claim_id),
            limit=min(limit, MOST_CLAIMED),
            leaseSeconds=int(lease.total_seconds()),
            waitSeconds=wait_seconds,
            repeated=repeated,
            waits_seconds=wait_seconds,
        )
        return [wire.read_leased(each) for each in answer["claimTasks"]]

    def won_by(self, asked: AskedClaim) -> list[Lease]:
        """What a claim has won that a worker of this account has sent, and that another one asks for now."""
        said = {"workerId": str(asked.worker_id), "claimId": str(asked.claim_id), "limit": 1, "repeated": True}
        return [wire.read_leased(each).lease for each in self._client.ask("claim_tasks", said)["claimTasks"]]

    def begin(self, leases: Sequence[Lease]) -> set[Lease]:
        """Note that attempts have started; returns the leases that are still in force."""
        held: set[str] = set()
        for some in _portions(leases):
            held |= set(self._ask("begin_tasks", leases=_written(some))["beginTasks"])
        return {lease for lease in leases if str(lease.task_id) in held}

    def renew(self, leases: Sequence[Lease], length: timedelta) -> dict[Lease, Renewal]:
        """Extend leases."""
        renewals: dict[Lease, Renewal] = {}
        for some in _portions(leases):
            answer = self._ask("renew_leases", leases=_written(some), leaseSeconds=int(length.total_seconds()))
            for lease, said in zip(some, answer["renewLeases"], strict=True):
                renewals[lease] = Renewal(RenewalVerdict(said["verdict"]), said["leaseMs"] / 1000)
        return renewals

    def record(self, notes: Sequence[Note], progress: Mapping[Lease, int]) -> None:
        """Deliver log lines and progress."""
        for some in _by_size(notes, lambda note: len(note.message)):
            self._ask("record_progress", records=wire.write_records(some, {}))
        for values in _portions(list(progress.items())):
            self._ask("record_progress", records=wire.write_records([], dict(values)))

    def report(self, outcomes: Sequence[Outcome]) -> dict[Lease, OutcomeVerdict]:
        """Deliver outcomes."""
        written = {outcome.lease: wire.write_outcome(outcome) for outcome in outcomes}
        verdicts: dict[Lease, OutcomeVerdict] = {}
        for some in _by_size(list(written), lambda lease: wire.weight(written[lease])):
            answer = self._ask("report_outcomes", outcomes=[written[lease] for lease in some])
            verdicts |= _verdicts(some, answer)
        return verdicts

    def tell(
        self, notes: Sequence[Note], progress: Mapping[Lease, int], outcomes: Sequence[Outcome]
    ) -> dict[Lease, OutcomeVerdict]:
        """Deliver all of that, the outcomes last; in one request, if it can carry that."""
        records = wire.write_records(notes, progress)
        written = {outcome.lease: wire.write_outcome(outcome) for outcome in outcomes}
        weight = sum(len(note.message) for note in notes) + sum(map(wire.weight, written.values()))
        if not (records and written) or max(len(records), len(written)) > MOST_ITEMS or weight > wire.MOST_BYTES:
            self.record(notes, progress)
            return self.report(outcomes)
        answer = self._ask("report_outcomes_and_progress", records=records, outcomes=list(written.values()))
        return _verdicts(written, answer)

    def release(self, leases: Sequence[Lease]) -> None:
        """Give tasks back, or say that cancelled ones have stopped."""
        for some in _portions(leases):
            self._ask("release_tasks", leases=_written(some))

    def forfeit(self, leases: Sequence[Lease]) -> None:
        """Give up tasks that had begun in a process that is dead."""
        for some in _portions(leases):
            self._ask("forfeit_tasks", leases=_written(some))

    def create(self, parent: Lease, creations: Sequence[Creation], now: datetime) -> list[dict[str, Any]]:
        """Create tasks on behalf of a task, all or none. Answers their ids and states."""
        inputs = [wire.write_creation(creation, now) for creation in creations]
        return list(self._ask("enqueue_tasks", parent=wire.write_lease(parent), inputs=inputs)["enqueueTasks"])

    def parent_results(self, lease: Lease) -> dict[str, Any]:
        """What the tasks have returned that a task in hand depends on."""
        return dict(self._ask("parent_results", lease=wire.write_lease(lease))["parentResults"])

    def take_lock(self, lease: Lease, name: str) -> LockAnswer:
        """Try to take a lock for a task in hand."""
        said = self._ask("take_lock", lease=wire.write_lease(lease), name=name)["takeLock"]
        return LockAnswer(LockVerdict(said["verdict"]), int(said["fencingNumber"]))

    def free_lock(self, lease: Lease, name: str) -> None:
        """Free a lock of a task in hand, if that holds it still."""
        self._ask("free_lock", lease=wire.write_lease(lease), name=name)

    def _ask(self, name: str, /, *, waits_seconds: float = 0.0, **variables: Any) -> dict[str, Any]:
        said = {"workerId": str(self._card.id), **variables}
        try:
            return self._client.ask(name, said, waits_seconds=waits_seconds)
        except ServerRefused as error:
            if error.code != "NOT_FOUND" or error.field is not None:
                raise
        self.register()
        return self._client.ask(name, said, waits_seconds=waits_seconds)


def _verdicts(leases: Iterable[Lease], answer: Mapping[str, Any]) -> dict[Lease, OutcomeVerdict]:
    said = zip(leases, answer["reportOutcomes"], strict=True)
    return {lease: OutcomeVerdict(each["verdict"]) for lease, each in said}


def _written(leases: Iterable[Lease]) -> list[dict[str, Any]]:
    return [wire.write_lease(lease) for lease in leases]


def _portions(items: Sequence[Item]) -> Iterable[list[Item]]:
    rest = iter(items)
    return iter(lambda: list(islice(rest, MOST_ITEMS)), [])


def _by_size(items: Sequence[Item], size: Callable[[Item], int]) -> Iterable[list[Item]]:
    """Groups that one request can carry."""
    return (
        portion
        for group in by_weight(((item, size(item)) for item in items), wire.MOST_BYTES)
        for portion in _portions(group)
    )
