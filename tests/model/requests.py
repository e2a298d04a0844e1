"""Every request that somebody may make.

What a request may cause is said to the ledger, which judges every commit; what it is answered is judged here.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from dtq_site.foundation.errors import Conflict, NotFound
from tasks import lifecycle, queues, submission
from tasks.domain.lease import Lease, RenewalVerdict
from tasks.domain.outcome import Outcome, OutcomeVerdict
from tasks.domain.submission import Request
from tasks.submission import Owner
from tests.model.acting import Acting
from tests.model.asking import NO_ANSWER, Asking
from tests.model.events import FOLLOWING, REAPED, Event
from tests.model.wishes import wanted
from tests.model.world import QUEUES, World
from tests.support.factories import LEASE, completed, discarded, failed
from workers import gateway
from workers.gateway import Caller

MOST_TASKS = 4


class Requests(Asking):
    """The askers, and what they were answered so far. Every request draws what it is about."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.leases: list[Lease] = []
        """All that workers were given, oldest first."""
        self.outcomes: dict[Lease, Outcome] = {}
        self.unanswered_claims: list[tuple[Caller, UUID]] = []
        self.unanswered_creations: list[tuple[list[Request], Owner]] = []
        self.snapshots: list[dict[bytes, bytes]] = []
        self.talked_about: UUID | None = None
        """The task that a person has asked about last."""

    def __repr__(self) -> str:
        return "requests"

    @property
    def has_room(self) -> bool:
        """Whether there are few enough tasks to have some more."""
        return len(self.ledger.rows) < MOST_TASKS

    def one_of_all(self, data: st.DataObject) -> None:
        """Anything that can happen now; what makes for a story more often than the rest."""
        always = [self.claim] * 4 + [self.time_passes, self.reconcile, self.redis_changes] * 2
        always += [self.reap, self.reap, self.promote, self.resume]
        again = [self.claim_again] * 3 if self.unanswered_claims else []
        again += [self.create_again] if self.unanswered_creations else []
        to_hold = [*[self.report] * 3, self.begin, self.begin, self.renew, self.renew, self.release, self.forfeit]
        to_ask = [self.cancel, self.cancel, self.retry, self.retry, self.update, self.delete, self.pause]
        possible = always + again + ([self.create] * 2 if self.has_room else [])
        possible += (to_hold if self.leases else []) + (to_ask if self.ledger.rows else [])
        data.draw(st.sampled_from(possible), label="then")(data)

    # --- work comes in ---------------------------------------------------------------------------------------------

    def create(self, data: st.DataObject) -> None:
        """Up to three tasks in one call, in one queue or in several; some of them need others that are there."""
        team = data.draw(st.sampled_from(self.world.teams))
        others = sorted(str(row.id) for row in self.ledger.rows.values() if row.team_id == team)
        keyed = [replace(each, idempotency_key=str(uuid.uuid4())) for each in wanted(data, others, self.now())]
        self.submit(data, keyed, Owner(team, None))

    def create_again(self, data: st.DataObject) -> None:
        """The same call again, of one who got no answer."""
        self.submit(data, *self.unanswered_creations.pop())

    def submit(self, data: st.DataObject, requests: list[Request], owner: Owner) -> None:
        asked = [each.idempotency_key for each in requests]
        acting = Acting(self.now(), frozenset({Event.CREATED, Event.NEEDED}), keys=frozenset(asked))
        try:
            answer = self.ask(data, acting, lambda: submission.submit(requests, owner, self.world.clock))
        except NotFound:  # what it needs was deleted meanwhile
            needed = {UUID(id_) for each in requests for id_ in each.depends_on or ()}
            assert needed - self.ledger.rows.keys(), "refused for no reason"
            return

        if answer is NO_ANSWER:
            self.unanswered_creations.append((requests, owner))
        else:
            assert [self.ledger.created[task.pk] for task in answer] == asked, "accepted, and not there"
            self.redis_saves()

    # --- workers ---------------------------------------------------------------------------------------------------

    def claim(self, data: st.DataObject) -> None:
        caller = data.draw(st.sampled_from(self.world.callers))
        from_database = data.draw(st.booleans())
        self.get_work(data, caller, uuid.uuid4(), data.draw(st.integers(1, 3)), from_database=from_database)

    def claim_again(self, data: st.DataObject) -> None:
        """The same claim again, of a worker that got no answer."""
        self.get_work(data, *self.unanswered_claims.pop(), 2, repeated=True)

    def get_work(self, data: st.DataObject, caller: Caller, claim_id: UUID, limit: int, **how: bool) -> None:
        acting = self.world.claiming(caller, claim_id)
        won_before = set(self.ledger.won[claim_id])
        answer = self.ask(
            data, acting, lambda: gateway.claim(caller, claim_id, limit, LEASE, clock=self.world.clock, **how)
        )

        if answer is NO_ANSWER:
            self.unanswered_claims.append((caller, claim_id))
            return
        leases = [task.lease for task in answer]
        assert len(set(leases)) == len(leases) <= max(limit, len(won_before)), (
            "a worker is given more than it asked for"
        )
        assert self.ledger.won[claim_id].issuperset(leases), "a worker is given what it has not won"
        if self.plan is None and not won_before:
            assert self.ledger.won[claim_id] == set(leases), "a worker is not told of what it has won"
        self.leases += [lease for lease in leases if lease not in self.leases]

    def begin(self, data: st.DataObject) -> None:
        leases = self.some_leases(data)
        acting = Acting(self.now(), frozenset({Event.BEGUN}), leases=frozenset(leases))
        answer = self.ask(data, acting, lambda: gateway.begin(leases, self.world.clock))

        if self.plan is None:
            assert answer == {lease for lease in leases if self.ledger.is_held(lease)}
            assert all(self.ledger.rows[lease.task_id].begun for lease in answer)

    def renew(self, data: st.DataObject) -> None:
        leases = self.some_leases(data)
        acting = Acting(self.now(), frozenset({Event.RENEWED}), leases=frozenset(leases))
        answer = self.ask(data, acting, lambda: gateway.renew(leases, LEASE, self.world.clock))

        if self.plan is None:
            renewed = {lease for lease, verdict in answer.items() if verdict is RenewalVerdict.RENEWED}
            assert renewed == {lease for lease in leases if self.ledger.is_held(lease)}
            ends = {self.ledger.rows[lease.task_id].lease_expires_at for lease in renewed}
            assert ends <= {self.now() + LEASE}

    def report(self, data: st.DataObject) -> None:
        leases = self.some_leases(data)
        for lease in leases:  # who repeats a report says the same again
            kind = data.draw(st.sampled_from([completed, failed, discarded]))
            outcome = completed(lease, lease.fencing_token) if kind is completed else kind(lease)
            self.outcomes.setdefault(lease, outcome)
        before = set(self.ledger.settled)
        held = {lease for lease in leases if self.ledger.is_held(lease)}
        acting = Acting(
            self.now(),
            FOLLOWING | {Event.SETTLED},
            outcomes=tuple(self.outcomes[each] for each in leases),
        )
        answer = self.ask(data, acting, lambda: gateway.report(acting.outcomes, self.world.clock))

        if answer is NO_ANSWER:
            return
        assert answer.keys() == set(leases), "some reports are not answered"
        if self.plan is None:
            assert {answer[lease] for lease in held} <= {OutcomeVerdict.ACCEPTED}, "a holder's report is refused"
        for lease, verdict in answer.items():
            match verdict:
                case OutcomeVerdict.ACCEPTED:
                    assert lease in self.ledger.settled - before, "told to be recorded now, and was not"
                case OutcomeVerdict.DUPLICATE:
                    assert lease in self.ledger.settled, "told to be recorded, and is not"
                case OutcomeVerdict.STALE_LEASE:
                    assert lease not in self.ledger.settled - before, "told to be refused, and was recorded"

    def release(self, data: st.DataObject) -> None:
        leases = self.some_leases(data)
        acting = Acting(
            self.now(), frozenset({Event.RELEASED, Event.WITHDRAWN, Event.STOPPED}), leases=frozenset(leases)
        )
        self.ask(data, acting, lambda: gateway.release(leases, self.world.clock))

    def forfeit(self, data: st.DataObject) -> None:
        leases = self.some_leases(data)
        acting = Acting(self.now(), FOLLOWING | {Event.LOST, Event.STOPPED}, leases=frozenset(leases))
        self.ask(data, acting, lambda: gateway.forfeit(leases, self.world.clock))

    def some_leases(self, data: st.DataObject) -> list[Lease]:
        """Some of those that are held; or any, for workers may be late, and may repeat themselves."""
        held = [lease for lease in self.leases if self.ledger.is_held(lease)]
        pool = data.draw(st.sampled_from([held or self.leases, self.leases]))
        return data.draw(st.lists(st.sampled_from(pool), min_size=1, max_size=3, unique=True))

    # --- duties ----------------------------------------------------------------------------------------------------

    def reap(self, data: st.DataObject) -> None:
        acting = Acting(self.now(), REAPED)
        self.ask(data, acting, lambda: self.world.reaper.perform(self.now()))

    def promote(self, data: st.DataObject) -> None:
        acting = Acting(self.now(), frozenset({Event.PROMOTED}))
        self.ask(data, acting, lambda: self.world.promoter.perform(self.now()))

    def reconcile(self, data: st.DataObject) -> None:
        """One scheduler or the other compares index and rows; one that dies forgets what it has seen."""
        reconciler = self.world.reconcilers[self.is_meanwhile]
        answer = self.ask(data, Acting(self.now()), lambda: reconciler.perform(self.now()))
        if answer is NO_ANSWER:
            self.world.start_schedulers()

    # --- people ----------------------------------------------------------------------------------------------------

    def cancel(self, data: st.DataObject) -> None:
        self.ask_about_a_task(data, FOLLOWING | {Event.CANCELLED}, lambda id_: lifecycle.cancel(id_, self.now()))

    def retry(self, data: st.DataObject) -> None:
        self.ask_about_a_task(data, {Event.RETRIED}, lambda id_: lifecycle.retry(id_, self.now()))

    def update(self, data: st.DataObject) -> None:
        due = self.now() + timedelta(seconds=data.draw(st.sampled_from([-1, 0, 4])))
        changes = [{"priority": 1}, {"priority": 20}, {"scheduled_at": due}, {"queue": "bulk"}]
        change = data.draw(st.sampled_from(changes))
        events = {Event.UPDATED, Event.PROMOTED}
        self.ask_about_a_task(data, events, lambda id_: lifecycle.update(id_, change, self.now()))

    def delete(self, data: st.DataObject) -> None:
        self.ask_about_a_task(data, {Event.DELETED}, lambda id_: lifecycle.delete(id_, self.now()))

    def ask_about_a_task(self, data: st.DataObject, events: Iterable[Event], verb: Callable[[UUID], Any]) -> None:
        known = sorted(self.ledger.rows)
        again = [self.talked_about] * 4 if self.talked_about in known else []  # a person stays with a subject
        self.talked_about = id_ = data.draw(st.sampled_from(known + again))
        with suppress(Conflict, NotFound):
            self.ask(data, Acting(self.now(), frozenset(events), tasks=frozenset({id_})), lambda: verb(id_))

    def pause(self, data: st.DataObject) -> None:
        """One queue hands out nothing more."""
        queue = data.draw(st.sampled_from(QUEUES))
        self.ask(data, Acting(self.now()), lambda: queues.pause(queue))

    def resume(self, data: st.DataObject) -> None:
        """All queues hand out tasks again."""
        self.ask(data, Acting(self.now()), lambda: [queues.resume(queue) for queue in QUEUES])

    # --- the world -------------------------------------------------------------------------------------------------

    def time_passes(self, data: st.DataObject) -> None:
        """A moment, or more than a lease. Redis, if it was away, is there again, and saves its data now and then."""
        self.faults.redis_is_away = False
        self.redis_saves()
        self.world.clock.advance(data.draw(st.sampled_from([0.3, 1, 3, 3, 16, 100])))

    def redis_saves(self) -> None:
        """What Redis has now may come back one day."""
        with self.faults.quiet():
            self.snapshots.append(self.world.snapshot())

    def redis_changes(self, data: st.DataObject) -> None:
        """It comes back with older data, loses them, or goes away."""
        back = ["restore", "restore", "restart with older data"]
        what = data.draw(st.sampled_from([*back, "lose one", "lose all", "go away"]))
        with self.faults.quiet():
            match what:
                case "lose one":
                    self.world.lose_an_entry(data.draw(st.integers(0, 3)))
                case "lose all":
                    self.world.redis.flushdb()
                case "restore" | "restart with older data" if self.snapshots:
                    older = self.snapshots[-data.draw(st.integers(1, min(len(self.snapshots), 3)))]
                    self.world.restore(older, in_another_process=what != "restore")
        self.faults.redis_is_away = self.faults.redis_is_away or what == "go away"
