"""The model finds what it is there to find: with one rule of the product broken on purpose, it tells of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db.models import Q
from hypothesis import Phase

from tasks import lifecycle
from tasks.domain.states import TaskStatus
from tasks.lifecycle import holding, outcomes, requests, rows
from tasks.models import Task
from tasks.queue.rebuild import Reconciliation
from tasks.queue.redis_index import RedisIndex
from tests.model.machine import explore

FAR = timedelta(hours=1)


def claims_count_what_they_have_not_won(patch: pytest.MonkeyPatch) -> None:
    under = lifecycle.claimed_under

    def under_any_claim(_: UUID, task_ids: Any) -> list[Any]:
        held = Task.objects.filter(pk__in=task_ids, status=TaskStatus.PROCESSING)
        return [task for id_ in held.values_list("claim_id", flat=True) for task in under(id_, task_ids)]

    patch.setattr(holding, "claimed_under", under_any_claim)


def claims_do_not_ask_whether_the_queue_is_paused(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(holding, "Exists", lambda paused: Q(pk=None))


def claims_leave_the_first_in_line_behind(patch: pytest.MonkeyPatch) -> None:
    take = RedisIndex.take

    def without_the_first(index: RedisIndex, queue: str, names: Any, limit: int, **options: Any) -> Any:
        return take(index, queue, names, limit + 1, **options)[1:]

    patch.setattr(RedisIndex, "take", without_the_first)


def repeated_claims_are_answered_with_what_others_won(patch: pytest.MonkeyPatch) -> None:
    before = lifecycle.claimed_before

    def under_any_claim(claim: lifecycle.Claim, now: datetime) -> list[Any]:
        others = Task.objects.filter(status=TaskStatus.PROCESSING).values_list("claim_id", "lease_owner")
        return [task for id_, owner in others for task in before(lifecycle.Claim(id_, owner, claim.lease), now)]

    patch.setattr(lifecycle, "claimed_before", under_any_claim)


def the_reaper_does_not_ask_whether_the_lease_has_ended(patch: pytest.MonkeyPatch) -> None:
    reap = lifecycle.reap
    patch.setattr(lifecycle, "reap", lambda policy, jitter, now: reap(policy, jitter, now + FAR))


def the_promoter_comes_early(patch: pytest.MonkeyPatch) -> None:
    promote = lifecycle.promote
    patch.setattr(lifecycle, "promote", lambda now, limit: promote(now + FAR, limit))


def anybody_may_settle(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(outcomes, "bears", lambda task, lease: True)
    patch.setattr(outcomes, "bearing", lambda leases: Q(pk__in=[lease.task_id for lease in leases]))


def renewals_revive_what_was_lost(patch: pytest.MonkeyPatch) -> None:
    renew = lifecycle.renew

    def reviving(leases: Any, length: timedelta, now: Any) -> Any:
        lost = Task.objects.filter(pk__in=[lease.task_id for lease in leases], status=TaskStatus.QUEUED)
        lost.exclude(claim_id=None).update(status=TaskStatus.PROCESSING, lease_expires_at=now + length)
        return renew(leases, length, now)

    patch.setattr(lifecycle, "renew", reviving)


def a_retry_does_not_wait_for_the_cancelled_attempt(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(requests, "make_ready_or_wait", lambda task, due, now: rows.make_ready(task, now))


def a_release_is_charged(patch: pytest.MonkeyPatch) -> None:
    assign = rows.assign
    patch.setattr(holding, "assign", lambda task, now, attempts=None, **values: assign(task, now, **values))


def nobody_adds_what_the_index_lacks(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Reconciliation, "_add", lambda *_: 0)


def nobody_removes_what_the_index_should_not_have(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Reconciliation, "_remove", lambda *_: 0)


def a_restart_of_redis_is_not_noticed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Reconciliation, "ensure_whole", lambda *_, **__: False)


MUTANTS = [
    claims_count_what_they_have_not_won,
    claims_do_not_ask_whether_the_queue_is_paused,
    claims_leave_the_first_in_line_behind,
    repeated_claims_are_answered_with_what_others_won,
    the_reaper_does_not_ask_whether_the_lease_has_ended,
    the_promoter_comes_early,
    anybody_may_settle,
    renewals_revive_what_was_lost,
    a_retry_does_not_wait_for_the_cancelled_attempt,
    a_release_is_charged,
    nobody_adds_what_the_index_lacks,
    nobody_removes_what_the_index_should_not_have,
    a_restart_of_redis_is_not_noticed,
]


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("break_a_rule", MUTANTS)
def test_a_broken_rule_is_found(world, break_a_rule: Callable[[pytest.MonkeyPatch], None]):
    break_a_rule(world.patch)

    with pytest.raises(AssertionError):
        explore(world, examples=300, steps=40, phases=[Phase.generate], derandomize=True, database=None)
