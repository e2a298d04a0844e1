"""The model finds what it is there to find: with one rule of the product broken on purpose, it tells of it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import Phase

from dtq_site.foundation.statements import Statement
from tasks import lifecycle
from tasks.domain.states import Hold, TaskStatus
from tasks.lifecycle import dependencies, holding, outcomes, requests, rows, statements
from tasks.models import Task
from tasks.queue.rebuild import Reconciliation
from tasks.queue.redis_index import RedisIndex
from tests.model.machine import explore

FAR = timedelta(hours=1)


def claims_count_what_they_have_not_won(patch: pytest.MonkeyPatch) -> None:
    under = statements.claimed_under

    def under_any_claim(claim_id: UUID, task_ids: Collection[UUID]) -> Statement:
        right = under(claim_id, task_ids)
        return Statement(right.sql.replace("AND claim_id = %s", ""), right.values[:-1])

    patch.setattr(statements, "claimed_under", under_any_claim)


def claims_do_not_ask_whether_the_queue_is_paused(patch: pytest.MonkeyPatch) -> None:
    claim_of = statements.claim_of

    def of_any_queue(*what: Any, **how: Any) -> Statement:
        right = claim_of(*what, **how)
        return replace(right, sql=right.sql.replace("AND paused", "AND 1 = 0"))

    patch.setattr(holding, "claim_of", of_any_queue)


def claims_leave_the_first_in_line_behind(patch: pytest.MonkeyPatch) -> None:
    take = RedisIndex.take

    def without_the_first(index: RedisIndex, queue: str, names: Any, limit: int, **options: Any) -> Any:
        hints = take(index, queue, names, limit + 1, **options)
        return hints[1:] if len(hints) > 1 else hints

    patch.setattr(RedisIndex, "take", without_the_first)


def repeated_claims_are_answered_with_what_others_won(patch: pytest.MonkeyPatch) -> None:
    before = lifecycle.claimed_before

    def under_any_claim(claim: lifecycle.Claim, now: datetime) -> list[Any]:
        others = set(Task.objects.filter(status=TaskStatus.PROCESSING).values_list("claim_id", "lease_owner"))
        return [task for id_, owner in others for task in before(lifecycle.Claim(id_, owner, claim.lease), now)]

    patch.setattr(lifecycle, "claimed_before", under_any_claim)


def the_reaper_does_not_ask_whether_the_lease_has_ended(patch: pytest.MonkeyPatch) -> None:
    reap = lifecycle.reap
    patch.setattr(lifecycle, "reap", lambda policy, jitter, now, limit: reap(policy, jitter, now + FAR, limit))


def attempts_of_cancelled_tasks_are_forgotten_while_they_may_run(patch: pytest.MonkeyPatch) -> None:
    reap_cancelled = lifecycle.reap_cancelled
    patch.setattr(lifecycle, "reap_cancelled", lambda now, limit: reap_cancelled(now + FAR, limit))


def the_promoter_comes_early(patch: pytest.MonkeyPatch) -> None:
    promote = lifecycle.promote
    patch.setattr(lifecycle, "promote", lambda now, limit: promote(now + FAR, limit))


def anybody_may_settle(patch: pytest.MonkeyPatch) -> None:
    settle = lifecycle.settle

    def in_the_name_of_a_holder(given: Any, *how: Any) -> Any:
        held = [rows.lease_of(row) for row in Task.objects.filter(status=TaskStatus.PROCESSING).order_by("pk")]
        others = [lease for lease in held if lease not in {each.lease for each in given}]
        leases = {each.lease: others.pop() if others and each.lease not in held else each.lease for each in given}
        verdicts = settle([replace(each, lease=leases[each.lease]) for each in given], *how)
        return {told: verdicts[holder] for told, holder in leases.items()}

    patch.setattr(lifecycle, "settle", in_the_name_of_a_holder)


def renewals_revive_what_was_lost(patch: pytest.MonkeyPatch) -> None:
    renew = lifecycle.renew

    def reviving(leases: Any, length: timedelta, now: Any, *how: Any) -> Any:
        lost = Task.objects.filter(pk__in=[lease.task_id for lease in leases], status=TaskStatus.QUEUED)
        lost.exclude(claim_id=None).update(status=TaskStatus.PROCESSING, lease_expires_at=now + length)
        return renew(leases, length, now, *how)

    patch.setattr(lifecycle, "renew", reviving)


def a_retry_does_not_wait_for_the_cancelled_attempt(patch: pytest.MonkeyPatch) -> None:
    def as_if_free(task: Task, due: datetime, now: datetime) -> None:
        rows.make_wait(task, due, now, Hold.DUE) if due > now else rows.make_ready(task, now)

    patch.setattr(requests, "make_ready_or_wait", as_if_free)


def a_release_is_charged(patch: pytest.MonkeyPatch) -> None:
    assign = rows.assign
    patch.setattr(holding, "assign", lambda task, now, attempts=None, **values: assign(task, now, **values))


def nobody_adds_what_the_index_lacks(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Reconciliation, "_add", lambda *_: 0)


def nobody_removes_what_the_index_should_not_have(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Reconciliation, "_remove", lambda *_: 0)


def a_restart_of_redis_is_not_noticed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Reconciliation, "ensure_whole", lambda *_, **__: False)


def a_child_does_not_wait_for_all_its_parents(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(dependencies, "_free", list)


def nothing_follows_from_an_outcome(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(outcomes, "follow_ends", lambda *_: [])


FOUND_BY = {
    claims_count_what_they_have_not_won: "a worker is given (what it has not won|more than it asked for)",
    claims_do_not_ask_whether_the_queue_is_paused: "a paused queue hands out nothing",
    claims_leave_the_first_in_line_behind: "one ahead of it stood in the index",
    repeated_claims_are_answered_with_what_others_won: "a worker is given (what it has not won|more than it asked for)",
    the_reaper_does_not_ask_whether_the_lease_has_ended: "a lease is taken before its end",
    attempts_of_cancelled_tasks_are_forgotten_while_they_may_run: "withdrawn by a stranger|a stranger says that it has stopped",
    the_promoter_comes_early: "too early",
    anybody_may_settle: "settled by a stranger",
    renewals_revive_what_was_lost: "by a request that may cause",
    a_retry_does_not_wait_for_the_cancelled_attempt: "two may run it at once",
    a_release_is_charged: "attempts are miscounted",
    nobody_adds_what_the_index_lacks: "the index is not repaired",
    nobody_removes_what_the_index_should_not_have: "the index is not repaired",
    a_child_does_not_wait_for_all_its_parents: "before what it depends on has completed",
    nothing_follows_from_an_outcome: "by a request that may cause",
    a_restart_of_redis_is_not_noticed: "workers are left without the index",
}

LONG_STORIES = {a_retry_does_not_wait_for_the_cancelled_attempt}
"""What shows only after more steps: a claim, a cancellation, a retry, and another claim while the lease goes on."""


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("break_a_rule", "finding"), FOUND_BY.items())
def test_a_broken_rule_is_found(world, break_a_rule: Callable[[pytest.MonkeyPatch], None], finding: str):
    examples, steps = (1200, 60) if break_a_rule in LONG_STORIES else (600, 40)
    break_a_rule(world.patch)

    with pytest.raises(AssertionError, match=finding):
        explore(world, examples=examples, steps=steps, phases=[Phase.generate], derandomize=True, database=None)
