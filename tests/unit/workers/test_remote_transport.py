"""What a remote worker tells and asks beside its claims, of a server that fails as told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dtq_site.foundation.errors import PayloadTooLarge
from tasks.domain.locks import LockAnswer, LockVerdict
from tasks.domain.outcome import OutcomeKind, OutcomeVerdict
from tests.unit.workers.making import claimed, lease, note, outcome
from tests.unit.workers.remote_world import CARD, won
from workers.transports.base import Unreachable
from workers.transports.graphql_client import ServerRefused, TokenRefused


def test_lines_and_outcomes_go_in_one_request_and_apart_if_that_is_refused(world):
    together = {"recordProgress": 1, "reportOutcomes": [{"verdict": "ACCEPTED"}]}
    world.client.answers["report_outcomes_and_progress"] = [together, ServerRefused("PAYLOAD_TOO_LARGE", "too much")]

    for _ in range(2):
        assert world.transport.tell([note(1)], {lease(1): 40}, [outcome(1)]) == {lease(1): OutcomeVerdict.ACCEPTED}

    (first, *_) = world.client.named("report_outcomes_and_progress")
    assert (first["records"][0]["progress"], first["outcomes"][0]["kind"]) == (40, "COMPLETED")
    assert [name for name, _ in world.client.asked] == [
        *["report_outcomes_and_progress"] * 2,
        "record_progress",
        "record_progress",
        "report_outcomes",
    ]


def test_a_settled_task_leaves_the_disk_whatever_its_verdict_and_an_unsettled_one_does_not(world):
    world.client.answers["claim_tasks"] = won(1, 2, 3)
    world.claim()
    world.client.answers["report_outcomes"] = [
        Unreachable("cut"),
        {"reportOutcomes": [{"verdict": "STALE_LEASE"}, {"verdict": "DUPLICATE"}]},
    ]

    with pytest.raises(Unreachable):
        world.transport.tell([], {}, [outcome(1), outcome(2)])
    assert world.on_disk() == [1, 2, 3]
    verdicts = world.transport.tell([], {}, [outcome(1), outcome(2)])

    assert verdicts == {lease(1): OutcomeVerdict.STALE_LEASE, lease(2): OutcomeVerdict.DUPLICATE}
    assert world.on_disk() == [3]


def test_an_outcome_that_the_server_does_not_take_fails_its_own_task_and_holds_up_no_other(world):
    def report(said: Mapping[str, Any]) -> dict[str, Any]:
        if any(each.get("result") == "poison" for each in said["outcomes"]):
            raise ServerRefused("BAD_USER_INPUT", "it is poison")
        return {"reportOutcomes": [{"verdict": "ACCEPTED"} for _ in said["outcomes"]]}

    world.client.answers["report_outcomes"] = report
    outcomes = [outcome(number) for number in range(1, 8)]
    outcomes[4] = outcome(5, "poison")

    verdicts = world.transport.tell([], {}, outcomes)

    assert verdicts == {lease(number): OutcomeVerdict.ACCEPTED for number in range(1, 8)}
    told = [each for said in world.client.named("report_outcomes") for each in said["outcomes"]]
    (refused,) = [each for each in told if each["kind"] == OutcomeKind.DISCARDED]
    assert (refused["fencingToken"], refused["error"]) == (5, "the outcome cannot be stored: it is poison")


def test_a_line_or_progress_that_the_server_does_not_take_is_dropped_and_holds_up_nothing(world):
    taken = []

    def record(said: Mapping[str, Any]) -> dict[str, Any]:
        told = [line["message"] for each in said["records"] for line in each.get("logs", [])]
        told += [each["progress"] for each in said["records"] if "progress" in each]
        if "poison" in told or 101 in told:
            raise ServerRefused("PAYLOAD_TOO_LARGE", "it is poison")
        taken.extend(told)
        return {"recordProgress": len(told)}

    world.client.answers |= {
        "record_progress": record,
        "report_outcomes_and_progress": ServerRefused("PAYLOAD_TOO_LARGE", "it is poison"),
    }
    lines = [note(1, 1, "before"), note(2, 1, "poison"), note(3, 1, "after"), note(3, 2, "last")]

    verdicts = world.transport.tell(lines, {lease(1): 40, lease(4): 101}, [outcome(1)])

    assert verdicts == {lease(1): OutcomeVerdict.ACCEPTED}
    assert set(taken) == {"before", "after", "last", 40}
    refused = [event.facts["task"] for event in world.heard.named("record.refused")]
    assert refused == [str(lease(2).task_id), str(lease(4).task_id)]


def test_a_server_that_takes_no_line_at_all_for_another_reason_is_asked_again_later(world):
    world.client.answers["record_progress"] = ServerRefused("FORBIDDEN", "not you")

    with pytest.raises(Unreachable):
        world.transport.tell([note(1), note(2)], {}, [])

    assert len(world.client.asked) == 1
    assert world.heard.named("record.refused") == []


def test_a_server_that_has_forgotten_the_worker_is_told_of_it_and_asked_again(world):
    world.client.answers["release_tasks"] = [ServerRefused("NOT_FOUND", "no such worker"), {"releaseTasks": 1}]

    world.transport.release([lease(1)])

    assert [name for name, _ in world.client.asked] == ["release_tasks", "register_worker", "release_tasks"]
    (said,) = world.client.named("register_worker")
    assert said["input"]["id"] == str(CARD.id) and said["input"]["handlers"] == ["bare", "job"]
    assert said["input"]["declarations"] == [{"name": "job", "maxRetries": 2}]


def test_what_is_given_back_is_marked_on_disk_before_the_server_is_told(world):
    world.client.answers["claim_tasks"] = won(1, 2)
    world.claim()
    world.client.answers["release_tasks"] = [Unreachable("the reply was lost"), {"releaseTasks": 1}]

    with pytest.raises(Unreachable):
        world.transport.release([lease(1)])
    assert [(row.task.lease, row.given_up) for row in world.journal._store.claimed()] == [
        (lease(1), True),
        (lease(2), False),
    ]
    world.transport.release([lease(1)])

    assert world.on_disk() == [2]


def test_a_handler_does_not_wait_for_a_server_that_was_away_a_moment_ago(world):
    world.client.answers |= {"take_lock": Unreachable("cut"), "heartbeat": {}}

    for _ in range(2):
        with pytest.raises(Unreachable):
            world.transport.take_lock(lease(1), "l")
    assert len(world.client.named("take_lock")) == 1
    world.transport.heartbeat(stopping=False)
    with pytest.raises(Unreachable):
        world.transport.take_lock(lease(1), "l")
    assert len(world.client.named("take_lock")) == 2


def test_a_lock_is_taken_and_freed_for_an_attempt(world):
    world.client.answers |= {
        "take_lock": {"takeLock": {"verdict": "TAKEN", "fencingNumber": 1.7e12}},
        "free_lock": {"freeLock": True},
    }

    assert world.transport.take_lock(lease(1), "l") == LockAnswer(LockVerdict.TAKEN, 1_700_000_000_000)
    world.transport.free_lock(lease(1), "l")
    assert [(name, said["lease"]["fencingToken"], said["name"]) for name, said in world.client.asked] == [
        ("take_lock", 1, "l"),
        ("free_lock", 1, "l"),
    ]


def test_a_refused_token_is_told_once_with_the_remedy(world):
    world.client.answers["record_progress"] = [TokenRefused("expired")] * 2 + [{}, {}, TokenRefused("expired")]

    for _ in range(2):
        with pytest.raises(Unreachable):
            world.transport.tell([note(1)], {}, [])
    assert len(world.heard.named("token.refused")) == 1
    world.transport.tell([note(1)], {lease(1): 40}, [])
    with pytest.raises(Unreachable):
        world.transport.tell([note(1)], {}, [])

    first, _ = world.heard.named("token.refused")
    assert "issue_worker_token" in first.facts["remedy"]


def test_what_parents_have_returned_came_with_the_claim_or_is_asked_for(world):
    world.client.answers["parent_results"] = {"parentResults": {"first": 7}}

    assert world.transport.results(replace(claimed(1), parent_results={"first": 1})) == {"first": 1}
    assert world.client.asked == []
    assert world.transport.results(claimed(1)) == {"first": 7}


def test_what_parents_have_returned_that_is_too_large_is_so_here_too_and_other_refusals_stay(world):
    world.client.answers["parent_results"] = [
        ServerRefused("PAYLOAD_TOO_LARGE", "it is too much", "lease"),
        ServerRefused("NOT_FOUND", "no such task", "lease"),
    ]

    with pytest.raises(PayloadTooLarge, match="it is too much"):
        world.transport.results(claimed(1))
    with pytest.raises(ServerRefused, match="no such task"):
        world.transport.results(claimed(1))
