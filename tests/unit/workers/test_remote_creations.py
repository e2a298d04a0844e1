"""Tasks that handlers of a remote worker create: at once, or from this disk, each once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from dtq_site.foundation.errors import Unavailable
from tasks.handling.port import EnqueueRequest
from tests.unit.workers.making import MEGABYTE, claimed
from tests.unit.workers.remote_world import NOW, World
from workers.domain.requested import RequestedTask
from workers.transports.base import Unreachable
from workers.transports.graphql_client import ServerRefused


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


def test_children_are_created_in_requests_of_a_size_that_proxies_take(world):
    world.client.answers["enqueue_tasks"] = Unreachable("cut")
    requests = [EnqueueRequest("job", {"text": "ü" * 1000}, idempotency_key=f"{number}") for number in range(45)]
    world.transport.enqueue(claimed(1), requests)
    linked = [EnqueueRequest("job", {"text": "ü" * 1000}, key=f"{number}") for number in range(3)]
    world.transport.enqueue(claimed(1), linked)
    world.client.answers["enqueue_tasks"] = {"enqueueTasks": []}
    world.client.asked.clear()

    with pytest.MonkeyPatch.context() as small:
        small.setattr("workers.transports.wire.MOST_BYTES", 50_000)
        world.transport.create_wanted()

    assert [len(said["inputs"]) for said in world.client.named("enqueue_tasks")] == [24, 21, 3]
    assert world.journal.wanted(100) == []


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


def test_a_child_that_can_neither_be_created_nor_kept_is_refused(tmp_path):
    world = World(tmp_path / "store", MEGABYTE)
    (tmp_path / "store").touch()
    world.client.answers["enqueue_tasks"] = Unreachable("cut")

    with pytest.raises(Unavailable):
        world.transport.enqueue(claimed(1), [EnqueueRequest("job", {})])
