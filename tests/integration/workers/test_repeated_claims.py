"""Claims that are made again because their answer may have been lost."""

from __future__ import annotations

import uuid

from tasks.domain.states import TaskStatus
from tasks.models import Task
from tests.integration.workers.claims import CLOCK, caller, fill
from tests.support.factories import LEASE, OTHER_WORKER, ManualClock, after
from workers import gateway
from workers.gateway import Caller


def test_a_repeated_request_is_answered_with_what_it_won_and_the_rest_of_its_leases():
    fill(default=3)
    claim_id = uuid.uuid4()
    first = gateway.claim(caller(), claim_id, 2, LEASE, clock=CLOCK)
    later = ManualClock(after(65))

    again = gateway.claim(caller(), claim_id, 2, LEASE, repeated=True, clock=later)

    assert [each.lease for each in again] == [each.lease for each in first]
    assert {each.lease_seconds for each in again} == {LEASE.total_seconds() - 5}
    assert Task.objects.filter(status=TaskStatus.PROCESSING).count() == 2


def test_one_that_won_nothing_before_claims_now_and_another_worker_s_claim_is_none_of_its_business():
    fill(default=4)
    claim_id = uuid.uuid4()
    other = Caller(OTHER_WORKER, frozenset({"job"}))
    (theirs,) = gateway.claim(other, claim_id, 1, LEASE, clock=CLOCK)

    mine = gateway.claim(caller(), claim_id, 2, LEASE, repeated=True, clock=CLOCK)

    assert len(mine) == 2
    assert theirs.lease not in [each.lease for each in mine]
