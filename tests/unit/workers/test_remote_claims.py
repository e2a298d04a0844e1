"""Claims of a remote worker: on disk before they count, asked again when their answer is lost, undone for the dead."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from tests.unit.workers.making import MEGABYTE, claimed, lease
from tests.unit.workers.remote_world import World, answer, renewed, won, won_to_hold
from workers.offline.rows import AskedClaim
from workers.transports.base import Unreachable
from workers.transports.graphql_client import NotDone, ServerRefused


def test_a_claim_is_on_disk_before_its_tasks_are_held_for_this_worker(world):
    world.client.answers["claim_tasks"] = won_to_hold(1, 2)
    on_disk_then: list[list[int]] = []

    def renew(said: Mapping[str, Any]) -> dict[str, Any]:
        on_disk_then.append(world.on_disk())
        return {"renewLeases": [renewed(each) for each in said["leases"]]}

    world.client.answers["renew_leases"] = renew

    tasks = world.claim()

    assert on_disk_then == [[1, 2]]
    assert [(task.lease, task.lease_seconds) for task in tasks] == [(lease(1), 1800.0), (lease(2), 1800.0)]
    (asked,) = world.client.named("claim_tasks")
    assert (asked["leaseSeconds"], asked["waitSeconds"], asked["repeated"]) == (3600, 20, False)


def test_a_claim_whose_answer_was_lost_is_repeated_under_its_own_id_until_it_is_answered(world):
    world.client.answers["claim_tasks"] = [Unreachable("cut"), Unreachable("cut"), won(1), won()]

    for _ in range(2):
        with pytest.raises(Unreachable):
            world.claim()
    assert [task.lease for task in world.claim()] == [lease(1)]
    assert world.claim() == []

    asked = world.client.named("claim_tasks")
    assert [each["repeated"] for each in asked] == [False, True, True, False]
    assert asked[0]["claimId"] == asked[1]["claimId"] == asked[2]["claimId"] != asked[3]["claimId"]


def test_a_claim_that_cannot_have_reached_the_server_is_made_again_as_a_new_one_and_leaves_no_file(world):
    world.client.answers["claim_tasks"] = [NotDone("no connection"), Unreachable("cut"), NotDone("no connection")]

    for _ in range(3):
        with pytest.raises(Unreachable):
            world.claim()
    assert [each["repeated"] for each in world.client.named("claim_tasks")] == [False, False, True]
    world.journal.leave()
    assert world.folder.inherit() is not None  # of the second one nobody knows

    other = World(world.path.with_name("other"), MEGABYTE)
    other.client.answers["claim_tasks"] = NotDone("no connection")
    with pytest.raises(Unreachable):
        other.claim()
    other.journal.leave()
    assert other.folder.inherit() is None


def test_claimed_tasks_run_on_their_short_lease_if_the_server_is_gone_before_they_are_held(world):
    world.client.answers |= {"claim_tasks": won_to_hold(1), "renew_leases": Unreachable("cut")}

    (task,) = world.claim()

    assert (task.lease, task.lease_seconds) == (lease(1), 60.0)
    assert world.on_disk() == [1]


def test_what_was_cancelled_or_lost_since_the_claim_is_not_run(world):
    world.client.answers |= {
        "claim_tasks": won_to_hold(1, 2),
        "renew_leases": lambda said: {
            "renewLeases": [renewed(said["leases"][0], "CANCELLED"), renewed(said["leases"][1])]
        },
    }

    assert [task.lease for task in world.claim()] == [lease(2)]

    assert [each["leases"][0]["fencingToken"] for each in world.client.named("release_tasks")] == [1]
    assert world.on_disk() == [2]


def test_what_cannot_be_written_down_is_given_back_and_less_is_asked_for(world):
    world.client.answers["claim_tasks"] = [won(1, 2, 3, 4, ballast="x" * 300_000), won()]

    assert [task.lease for task in world.claim()] == [lease(1), lease(2), lease(3)]
    world.claim(50)

    (released,) = world.client.named("release_tasks")
    assert [each["fencingToken"] for each in released["leases"]] == [4]
    assert [each["limit"] for each in world.client.named("claim_tasks")] == [5, 1]
    assert "journal.full" in [event.name for event in world.heard.events]


def test_what_was_won_is_run_even_if_what_was_won_beside_it_cannot_be_given_back(world):
    world.client.answers |= {
        "claim_tasks": won(1, 2, 3, 4, ballast="x" * 300_000),
        "release_tasks": Unreachable("cut"),
    }

    assert [task.lease for task in world.claim()] == [lease(1), lease(2), lease(3)]

    assert world.on_disk() == [1, 2, 3]


def test_a_claim_is_on_disk_before_it_is_sent_and_the_next_one_with_what_it_has_won(world):
    on_disk_then: list[UUID | None] = []

    def claim(said: Mapping[str, Any]) -> dict[str, Any]:
        on_disk_then.append(world.asked_on_disk())
        return won() if len(on_disk_then) == 1 else won(len(on_disk_then))

    world.client.answers["claim_tasks"] = claim
    for _ in range(3):
        world.claim()

    sent = [uuid.UUID(each["claimId"]) for each in world.client.named("claim_tasks")]
    assert on_disk_then == sent
    assert sent[0] == sent[1] != sent[2]  # one that won nothing may be asked again
    world.journal.leave()
    assert world.folder.inherit().asked() is None


def test_what_a_dead_process_won_unheard_is_given_back(world):
    world.client.answers["claim_tasks"] = [won(1, 2), ServerRefused("NOT_FOUND", "no such worker")]
    asked = AskedClaim(uuid.UUID(int=3), uuid.UUID(int=4))

    world.transport.undo_claim(asked)
    world.transport.undo_claim(asked)

    said = world.client.named("claim_tasks")[0]
    assert (said["workerId"], said["claimId"], said["repeated"]) == (str(asked.worker_id), str(asked.claim_id), True)
    (released,) = world.client.named("release_tasks")
    assert [each["fencingToken"] for each in released["leases"]] == [1, 2]
    assert world.client.named("register_worker") == []


def test_only_a_task_to_be_held_costs_a_claim_a_renewal(world):
    world.client.answers["claim_tasks"] = [won(1), won_to_hold(2)]

    world.claim()
    assert world.client.named("renew_leases") == []
    world.claim()
    assert [each["fencingToken"] for each in world.client.named("renew_leases")[0]["leases"]] == [2]


def test_when_the_worker_stops_a_claim_does_not_wait_and_what_it_may_have_won_unheard_is_given_back(world):
    def lost_when_waiting(said: Mapping[str, Any]) -> dict[str, Any]:
        if not said["repeated"]:
            world.transport.stop_waiting()
            raise Unreachable("interrupted")
        return won(1)

    world.client.answers["claim_tasks"] = lost_when_waiting

    assert world.claim() == []

    first, second = world.client.named("claim_tasks")
    assert (second["claimId"], second["limit"], second["waitSeconds"]) == (first["claimId"], 1, 0)
    (released,) = world.client.named("release_tasks")
    assert released["leases"][0]["fencingToken"] == 1
    assert world.on_disk() == []


def test_a_task_s_lock_and_all_else_that_its_handler_needs_is_read(world):
    world.client.answers["claim_tasks"] = {
        "claimTasks": [
            {**answer(1, {"a": 1}), "lock": "l", "lockFencingNumber": 1.7e12, "beginFirst": True}
            | {"queue": "post", "requestId": "r-7", "traceparent": "00-0a-0b-01"}
        ]
    }

    (task,) = world.claim()

    wanted = replace(
        claimed(1, a=1), team_id=task.team_id, parent_results={}, lock="l", lock_fencing_number=1_700_000_000_000
    )
    origin = {"queue": "post", "request_id": "r-7", "traceparent": "00-0a-0b-01"}
    assert task == replace(wanted, begin_first=True, lease_seconds=60.0, **origin)
