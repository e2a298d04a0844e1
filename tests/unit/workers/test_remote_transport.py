"""The remote transport against a server that fails as told: what is claimed is written down, what is lost is asked for again."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from dtq_site.foundation.errors import Unavailable
from dtq_site.foundation.observer import Observer, Recorder
from tasks.domain.locks import LockAnswer, LockVerdict
from tasks.domain.outcome import OutcomeKind, OutcomeVerdict
from tasks.handling.port import EnqueueRequest
from tests.unit.workers.making import MEGABYTE, claimed, lease, make_folder, note, outcome
from workers.domain.card import WorkerCard
from workers.domain.requested import RequestedTask
from workers.offline.journal import Journal
from workers.offline.rows import AskedClaim
from workers.transports.base import Unreachable
from workers.transports.graphql_client import ServerRefused, TokenRefused
from workers.transports.remote import RemoteTransport

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
LEASE = timedelta(hours=1)
CARD = WorkerCard(uuid.UUID(int=1), "w", "h", 1, ("mail",), {"job": {"max_retries": 2}, "bare": {}}, 5, "remote", "1")


class ScriptedClient:
    """Answers each operation by what it was told to answer: a value, an error, or a function of the variables."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def ask(self, name: str, variables: Mapping[str, Any], *, waits_seconds: float = 0.0) -> dict[str, Any]:
        self.asked.append((name, dict(variables)))
        answer = self.answers[name]
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer(variables) if callable(answer) else answer

    def interrupt(self) -> None:
        return

    def named(self, name: str) -> list[dict[str, Any]]:
        return [variables for asked, variables in self.asked if asked == name]


class World:
    def __init__(self, path: Path, most_bytes: int) -> None:
        self.heard = Recorder()
        self.now = NOW
        self.client = ScriptedClient()
        self.folder, _ = make_folder(path, most_bytes)
        self.journal = Journal(Observer(self.heard), self.folder)
        self.transport = RemoteTransport(
            Observer(self.heard), self.client, self.client, CARD, self.journal, now=lambda: self.now
        )
        self.client.answers = {
            "register_worker": {},
            "renew_leases": lambda said: {"renewLeases": [renewed(each) for each in said["leases"]]},
            "report_outcomes": lambda said: {"reportOutcomes": [{"verdict": "ACCEPTED"} for _ in said["outcomes"]]},
            "release_tasks": {"releaseTasks": 1},
            "record_progress": {"recordProgress": 1},
        }

    def claim(self, limit: int = 5):
        return self.transport.claim(uuid.uuid4(), limit, LEASE, from_database=False)

    def asked_on_disk(self) -> uuid.UUID | None:
        """The id of the claim that the journal has."""
        store = self.journal._store
        asked = None if store is None else store.asked()
        return asked.claim_id if asked else None

    def on_disk(self) -> list[int]:
        """The numbers of the tasks that the journal has."""
        store = self.journal._store
        return [] if store is None else [row.task.lease.fencing_token for row in store.claimed()]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "store", MEGABYTE)


def renewed(said: Mapping[str, Any], verdict: str = "RENEWED") -> dict[str, Any]:
    return {"taskId": said["taskId"], "verdict": verdict, "leaseMs": 1_800_000}


def won(*numbers: int, **payload: Any) -> dict[str, Any]:
    return {"claimTasks": [answer(number, payload) for number in numbers]}


def answer(number: int, payload: dict[str, Any]) -> dict[str, Any]:
    return {
        "taskId": str(lease(number).task_id),
        "fencingToken": number,
        "claimId": str(lease(number).claim_id),
        "leaseMs": 60_000,
        "name": "job",
        "payload": payload,
        "attempt": 1,
        "timeoutSeconds": 60.0,
        "beginFirst": False,
        "lock": None,
        "lockFencingNumber": 0.0,
        "whenLost": "REASSIGN",
        "parentResults": {},
    }


def test_a_claim_is_on_disk_before_its_lease_is_made_long(world):
    world.client.answers["claim_tasks"] = won(1, 2)
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


def test_claimed_tasks_run_on_their_short_lease_if_the_server_is_gone_before_it_is_made_long(world):
    world.client.answers |= {"claim_tasks": won(1), "renew_leases": Unreachable("cut")}

    (task,) = world.claim()

    assert (task.lease, task.lease_seconds) == (lease(1), 60.0)
    assert world.on_disk() == [1]


def test_what_was_cancelled_or_lost_since_the_claim_is_not_run(world):
    world.client.answers |= {
        "claim_tasks": won(1, 2),
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


def test_a_task_to_be_held_is_confirmed_at_once_whatever_the_length_of_its_lease(world):
    held = {**answer(1, {}), "whenLost": "HOLD", "leaseMs": 3_600_000}
    plain = {**answer(2, {}), "leaseMs": 3_600_000}
    world.client.answers["claim_tasks"] = [{"claimTasks": [plain]}, {"claimTasks": [held]}]

    world.claim()
    assert world.client.named("renew_leases") == []
    world.claim()
    assert len(world.client.named("renew_leases")) == 1


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


def test_a_server_that_has_forgotten_the_worker_is_told_of_it_and_asked_again(world):
    world.client.answers["release_tasks"] = [ServerRefused("NOT_FOUND", "no such worker"), {"releaseTasks": 1}]

    world.transport.release([lease(1)])

    assert [name for name, _ in world.client.asked] == ["release_tasks", "register_worker", "release_tasks"]
    (said,) = world.client.named("register_worker")
    assert said["input"]["id"] == str(CARD.id) and said["input"]["handlers"] == ["bare", "job"]
    assert said["input"]["declarations"] == [{"name": "job", "maxRetries": 2}]


def test_a_child_is_created_at_once_while_the_server_is_there(world):
    world.client.answers["enqueue_tasks"] = {"enqueueTasks": [{"id": "7", "status": "QUEUED"}]}

    (made,) = world.transport.enqueue(claimed(1), [EnqueueRequest("job", {"a": 1}, idempotency_key="k")])

    assert made == RequestedTask("job", "k", "7", "QUEUED")
    assert world.journal.wanted(10) == []


def test_a_child_wanted_while_cut_off_waits_on_disk_under_its_key_and_is_created_with_what_is_left_of_its_delay(world):
    world.client.answers["enqueue_tasks"] = Unreachable("cut")
    (made,) = world.transport.enqueue(claimed(1), [EnqueueRequest("job", {}, delay_seconds=60)])
    assert made == RequestedTask("job", made.idempotency_key) and len(made.idempotency_key) == 36
    world.transport.enqueue(claimed(1), [EnqueueRequest("job", {}, delay_seconds=10)])
    assert len(world.client.named("enqueue_tasks")) == 1  # a server found away is not asked again at once

    world.client.answers["enqueue_tasks"] = {"enqueueTasks": []}
    world.now = NOW + timedelta(seconds=45)
    world.transport.create_wanted()

    said = world.client.named("enqueue_tasks")[-1]
    assert said["parent"]["fencingToken"] == 1
    assert [each["delaySeconds"] for each in said["inputs"]] == [15.0, 0.0]
    assert said["inputs"][0]["idempotencyKey"] == made.idempotency_key
    assert world.journal.wanted(10) == []


def test_a_child_that_the_server_refuses_is_told_and_holds_up_no_other(world):
    world.client.answers["enqueue_tasks"] = Unreachable("cut")
    requests = [EnqueueRequest(name, {}, idempotency_key=name) for name in ("a", "bad", "c")]
    world.transport.enqueue(claimed(1), requests)

    def create(said: Mapping[str, Any]) -> dict[str, Any]:
        if any(each["name"] == "bad" for each in said["inputs"]):
            raise ServerRefused("BAD_USER_INPUT", "no such thing", "inputs[0].name")
        return {"enqueueTasks": []}

    world.client.answers["enqueue_tasks"] = create
    world.transport.create_wanted()

    (told,) = world.heard.named("creation.refused")
    assert (told.facts["idempotency_key"], told.facts["code"]) == ("bad", "BAD_USER_INPUT")
    accepted = [said for said in world.client.named("enqueue_tasks")[-3:] if said["inputs"][0]["name"] != "bad"]
    assert [said["inputs"][0]["name"] for said in accepted] == ["a", "c"]
    assert world.journal.wanted(10) == []


def test_children_that_depend_on_each_other_are_created_together_or_not_at_all(world):
    world.client.answers["enqueue_tasks"] = Unreachable("cut")
    first = EnqueueRequest("job", {}, key="first")
    world.transport.enqueue(claimed(1), [first, EnqueueRequest("job", {}, depends_on=["first"], when_lost="hold")])
    world.transport.enqueue(claimed(1), [first])

    world.client.answers["enqueue_tasks"] = [ServerRefused("BAD_USER_INPUT", "no"), {"enqueueTasks": []}]
    world.transport.create_wanted()

    _, refused, made = world.client.named("enqueue_tasks")
    assert [(each.get("key"), each.get("dependsOn")) for each in refused["inputs"]] == [
        ("first", None),
        (None, ["first"]),
    ]
    assert refused["inputs"][1]["whenLost"] == "hold"
    assert [each["key"] for each in made["inputs"]] == ["first"]
    assert len(world.heard.named("creation.refused")) == 2
    assert world.journal.wanted(10) == []


def test_what_waits_on_this_disk_has_no_id_to_depend_on():
    with pytest.raises(Unavailable):
        EnqueueRequest("job", {}, depends_on=[RequestedTask("job", "k")])


def test_what_parents_have_returned_came_with_the_claim_or_is_asked_for(world):
    world.client.answers["parent_results"] = {"parentResults": {"first": 7}}

    assert world.transport.results(replace(claimed(1), parent_results={"first": 1})) == {"first": 1}
    assert world.client.asked == []
    assert world.transport.results(claimed(1)) == {"first": 7}


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


def test_a_child_that_can_neither_be_created_nor_kept_is_refused(tmp_path):
    world = World(tmp_path / "store", MEGABYTE)
    (tmp_path / "store").touch()
    world.client.answers["enqueue_tasks"] = Unreachable("cut")

    with pytest.raises(Unavailable):
        world.transport.enqueue(claimed(1), [EnqueueRequest("job", {})])


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
        "claimTasks": [{**answer(1, {"a": 1}), "lock": "l", "lockFencingNumber": 1.7e12, "beginFirst": True}]
    }

    (task,) = world.claim()

    wanted = replace(
        claimed(1, a=1), team_id=task.team_id, parent_results={}, lock="l", lock_fencing_number=1_700_000_000_000
    )
    assert task == replace(wanted, begin_first=True, lease_seconds=1800.0)
