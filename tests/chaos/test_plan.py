"""What follows from a seed follows from the seed alone."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict

import pytest

from tests.chaos.load import CALM_QUEUE, POISON_AT, Regret, Wish, make_calm_load, make_load
from tests.chaos.plan import LONGEST_OUTAGE_SECONDS, FaultKind, make_plan

LEASE_SECONDS = 3.0


def test_the_same_seed_makes_the_same_plan_whatever_else_is_drawn():
    first = make_plan(7, 60.0, LEASE_SECONDS)
    random.seed(99)

    assert make_plan(7, 60.0, LEASE_SECONDS) == first
    assert make_plan(8, 60.0, LEASE_SECONDS) != first


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("seconds", [10.0, 600.0])
def test_a_plan_has_every_kind_of_fault_in_order_of_time(seed: int, seconds: float):
    plan = make_plan(seed, seconds, LEASE_SECONDS)

    assert {fault.kind for fault in plan} == set(FaultKind)
    assert [fault.at for fault in plan] == sorted(fault.at for fault in plan)
    assert all(fault.at >= 0 and 0 <= fault.pick < 1 and fault.seconds <= LONGEST_OUTAGE_SECONDS for fault in plan)


@pytest.mark.parametrize("seed", range(20))
def test_faults_of_one_server_do_not_overlap_and_suspensions_outlast_a_lease(seed: int):
    servers = defaultdict(list)
    for fault in make_plan(seed, 60.0, LEASE_SECONDS):
        for server in ("Redis", "MariaDB"):
            if server in fault.kind or (server, fault.kind) == ("Redis", FaultKind.FLUSH_REDIS):
                servers[server].append(fault)
        if "suspend" in fault.kind:
            assert fault.seconds > LEASE_SECONDS

    for faults in servers.values():
        assert all(later.at >= earlier.ends_at for earlier, later in itertools.pairwise(faults))


def test_the_same_seed_makes_the_same_load_with_all_that_a_client_may_do():
    steps = make_load(7, 2000, 30.0)

    assert make_load(7, 2000, 30.0) == steps
    assert make_load(8, 2000, 30.0) != steps
    wishes = [step for step in steps if isinstance(step, Wish)]
    numbers = [wish.number for wish in wishes]
    assert set(numbers) == set(range(2000)) and len(numbers) > 2000
    assert any(isinstance(step, Regret) for step in steps)
    assert {wish.number for wish in wishes if wish.name == "chaos-poison"} == {POISON_AT, 1000 + POISON_AT}
    assert {wish.key is None for wish in wishes} == {True, False}
    assert max(wish.delay_seconds for wish in wishes) > 0 and len({wish.priority for wish in wishes}) > 3


def test_what_is_cancelled_was_asked_for_before():
    asked: set[int] = set()
    for step in make_load(7, 2000, 30.0):
        if isinstance(step, Wish):
            asked.add(step.number)
        else:
            assert step.number in asked


def test_the_calm_load_is_one_backlog_of_all_priorities():
    steps = make_calm_load(7, 200, 4.0)

    assert make_calm_load(7, 200, 4.0) == steps
    assert {step.queue for step in steps if isinstance(step, Wish)} == {CALM_QUEUE}
    assert 100 < sum(step.at == 0 for step in steps) < 200
