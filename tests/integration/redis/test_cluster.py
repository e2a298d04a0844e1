"""The dispatch index in a cluster: each queue on its node, and what becomes of the others when one node is gone."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis
from redis.crc import key_slot

from tests.integration.scheduling.performing import make_duty
from tests.support.factories import START, after, bare_row, hint_of
from tests.support.redis_topologies import RedisClusterServers
from tests.support.waiting import eventually

QUEUES = ("default", "mail", "billing", "reports")


def rebuild(index: Any) -> None:
    """Have all queues known and whole."""
    from tasks import queues
    from tasks.queue.rebuild import Reconciliation

    queues.ensure(QUEUES, START)
    for queue in QUEUES:
        assert Reconciliation(index, queue).ensure_whole()


def found(index: Any, queue: str) -> list[Any] | None:
    """What the index hands out of the queue; None while it is lost."""
    from tasks.queue.index import IndexLost

    try:
        return index.take(queue, {"job"}, 9)
    except IndexLost:
        return None


def test_each_queue_is_on_the_node_of_its_slot_and_its_bells_on_the_server_that_all_share(
    on_cluster: Any, cluster: RedisClusterServers, redis_server: Redis
):
    rebuild(on_cluster)
    hints = [hint_of(bare_row(queue=queue)) for queue in QUEUES]

    on_cluster.add(hints)

    assert len({cluster.owner_of(queue).port for queue in QUEUES}) == 3
    for queue in QUEUES:
        lines = {f"dtq:{{{queue}}}:{part}" for part in ("ready:job", "lanes", "whole")}
        assert lines <= set(cluster.owner_of(queue).ask("KEYS", "*"))
    assert set(redis_server.keys("*")) == {"dtq:bell:job", *(f"dtq:{{{queue}}}:bell:job" for queue in QUEUES)}
    assert on_cluster.wait(QUEUES, {"job"}, 1)
    assert [found(on_cluster, queue) for queue in QUEUES] == [[hint] for hint in hints]
    on_cluster.confirm(hints)
    assert [on_cluster.depth(queue) for queue in QUEUES] == [0, 0, 0, 0]


def test_who_listens_is_told_by_the_server_that_all_share(on_cluster: Any, redis_server: Redis):
    from tasks.queue import keys

    rebuild(on_cluster)
    hint = hint_of(bare_row())
    with redis_server.pubsub() as listener:
        listener.subscribe(keys.RINGS, keys.EVENTS)
        assert [listener.get_message(timeout=1)["type"] for _ in range(2)] == ["subscribe", "subscribe"]

        on_cluster.add([hint])
        assert found(on_cluster, "default") == [hint]
        assert not on_cluster.audience.is_absent  # the node knows of no listener, and is not believed
        on_cluster.publish(b"news")

        heard = [listener.get_message(timeout=1)["data"] for _ in range(2)]
        assert heard == [keys.bell("default", "job"), "news"]


def test_while_one_node_is_gone_the_others_dispatch_and_its_queues_are_claimed_from_the_rows(
    on_cluster: Any, cluster: RedisClusterServers
):
    from scheduling.duties.reconciler import Reconciler
    from tests.integration.workers import claims

    rebuild(on_cluster)
    duty, heard = make_duty(Reconciler)
    duty.perform(START)
    gone, there = "default", next(q for q in QUEUES if cluster.owner_of(q) is not cluster.owner_of("default"))

    cluster.owner_of(gone).kill()
    tasks = {queue: bare_row(queue=queue) for queue in (gone, there)}
    on_cluster.add([hint_of(task) for task in tasks.values()])
    duty.perform(after(1))

    assert found(on_cluster, gone) is None
    assert found(on_cluster, there) == [hint_of(tasks[there])]
    assert on_cluster.wait([gone], {"job"}, 1)  # it was rung for, all the same
    assert claims.claim(1, claims.caller("job", queues=[gone])) == [tasks[gone]]

    cluster.owner_of(gone).start()
    later = bare_row(queue=gone)

    def is_right() -> bool:
        duty.perform(after(2))
        return found(on_cluster, gone) == [hint_of(later)]

    eventually(is_right, 15)
    rebuilt = [event.facts["queue"] for event in heard.named("index.rebuilt")]
    assert gone in rebuilt and there not in rebuilt


def test_a_queue_whose_slot_moves_is_lost_once_and_found_on_its_new_node(on_cluster: Any, cluster: RedisClusterServers):
    from tasks.queue.rebuild import Reconciliation

    rebuild(on_cluster)
    waiting = bare_row(queue="mail")
    old = cluster.owner_of("mail")
    new = next(node for node in cluster.masters if node is not old)

    _move_slot(cluster, key_slot(b"mail"), old, new)
    assert found(on_cluster, "mail") is None
    eventually(lambda: not _is_lost(on_cluster, "mail"), 5)
    assert not on_cluster.is_whole("mail")
    assert Reconciliation(on_cluster, "mail").ensure_whole()
    assert found(on_cluster, "mail") == [hint_of(waiting)]
    assert new.ask("EXISTS", "dtq:{mail}:whole") == 1


def _move_slot(cluster: RedisClusterServers, slot: int, old: Any, new: Any) -> None:
    """Give the slot to another node, without its keys."""
    for key in old.ask("CLUSTER", "GETKEYSINSLOT", str(slot), "99"):
        old.ask("DEL", key)
    for node in (new, old, *cluster.masters):
        node.ask("CLUSTER", "SETSLOT", str(slot), "NODE", new.ask("CLUSTER", "MYID"))


def _is_lost(index: Any, queue: str) -> bool:
    from tasks.queue.index import IndexLost

    try:
        index.depth(queue)
    except IndexLost:
        return True
    return False


def test_without_a_node_that_answers_hints_cost_nothing_and_the_rows_are_asked(on_cluster: Any, cluster):
    from tasks.queue.dispatch import index_at
    from tasks.queue.index import IndexLost

    cluster.stop()
    away = index_at("redis://127.0.0.1:1/0", cluster.url)
    hint = hint_of(bare_row())

    for hinting in (away.add, away.confirm, away.drop):
        hinting([hint])
    for asking in (
        lambda: away.take("default", {"job"}, 1),
        lambda: away.is_whole("default"),
        lambda: away.eviction_policies(),
        lambda: away.ping(),
    ):
        with pytest.raises(IndexLost):
            asking()
