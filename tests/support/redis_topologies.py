"""Several Redis servers that stand in for one another: a master with a replica and its Sentinels, and a cluster."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from tests.support.servers import RedisServer, Server, ask_redis, free_port
from tests.support.waiting import eventually

MASTER = "mymaster"
NOTICED_MS = 1000
"""How long a server is silent before its Sentinels or its fellow nodes think it is down; 30 and 15 seconds by default."""


class SentinelServer(Server):
    """One Sentinel, which watches one master together with others."""

    def __init__(self, folder: Path, master: RedisServer) -> None:
        super().__init__(folder)
        self.password = master.password
        self._config = folder / "sentinel.conf"
        self._config.write_text(
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self.password}\ndir {folder}\n"
            f"sentinel monitor {MASTER} 127.0.0.1 {master.port} 2\n"
            f"sentinel auth-pass {MASTER} {master.password}\n"
            f"sentinel sentinel-pass {master.password}\n"
            f"sentinel down-after-milliseconds {MASTER} {NOTICED_MS}\n"
            f"sentinel failover-timeout {MASTER} 6000\n"
        )

    def _command(self) -> list[str]:
        assert RedisServer.program
        return [RedisServer.program, str(self._config), "--sentinel"]

    def _answers(self) -> bool:
        return bool(self.ask("PING"))

    def ask(self, *command: str) -> Any:
        """What it answers; None if it does not."""
        return ask_redis(self.port, self.password, *command)


class SentinelTrio:
    """A master, its replica, and three Sentinels; all bear one password."""

    def __init__(self, folder: Path) -> None:
        password = secrets.token_hex(16)
        self.master = RedisServer(folder / "master", password=password)
        follow = (f"replicaof 127.0.0.1 {self.master.port}", "repl-diskless-sync-delay 0")
        self.replica = RedisServer(folder / "replica", *follow, password=password)
        self.sentinels = [SentinelServer(folder / f"sentinel-{number}", self.master) for number in range(3)]
        self.url = (
            f"redis+sentinel://:{password}@{','.join(f'127.0.0.1:{each.port}' for each in self.sentinels)}/{MASTER}/0"
            f"?sentinel_password={password}"
        )

    def start(self) -> None:
        """Start all; ready to fail over when this returns."""
        for server in (self.master, self.replica, *self.sentinels):
            server.start()
        eventually(lambda: self.replica.info("replication").get("master_link_status") == "up", 30)
        eventually(lambda: all(map(_sees_all, self.sentinels)), 30)

    def stop(self) -> None:
        """End all that run."""
        for server in (*self.sentinels, self.replica, self.master):
            server.kill()

    def master_port(self) -> int:
        """The port of the server that the Sentinels take for the master."""
        address = self.sentinels[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
        return int(address[1]) if address else 0


def _sees_all(sentinel: SentinelServer) -> bool:
    facts = sentinel.ask("SENTINEL MASTER", MASTER) or {}
    return (facts.get("num-slaves"), facts.get("num-other-sentinels")) == (1, 2)


class RedisClusterServers:
    """A cluster of three masters with an equal part of the slots each, and perhaps a replica of each."""

    def __init__(self, folder: Path, *directives: str, with_replicas: bool = False) -> None:
        password = secrets.token_hex(16)
        self._buses = [free_port() for _ in range(6 if with_replicas else 3)]
        of_cluster = ("cluster-enabled yes", f"cluster-node-timeout {NOTICED_MS}", "repl-diskless-sync-delay 0")
        self.nodes = [
            RedisServer(folder / f"node-{number}", *of_cluster, f"cluster-port {bus}", *directives, password=password)
            for number, bus in enumerate(self._buses)
        ]
        self.url = f"redis+cluster://:{password}@{','.join(f'127.0.0.1:{each.port}' for each in self.nodes)}"

    @property
    def masters(self) -> Sequence[RedisServer]:
        """Those that had slots in the beginning."""
        return self.nodes[:3]

    def start(self) -> None:
        """Start all and make them one cluster."""
        for node in self.nodes:
            node.start()
        size = REDIS_CLUSTER_HASH_SLOTS // len(self.masters) + 1
        for number, node in enumerate(self.masters):
            last = min((number + 1) * size, REDIS_CLUSTER_HASH_SLOTS) - 1
            node.ask("CLUSTER", "ADDSLOTSRANGE", str(number * size), str(last))
        for node, bus in zip(self.nodes, self._buses, strict=True):
            self.nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", str(node.port), str(bus))
        eventually(lambda: all(self._is_known_to(node) for node in self.nodes), 30)
        for master, replica in zip(self.masters, self.nodes[3:], strict=False):
            replica.ask("CLUSTER", "REPLICATE", str(master.ask("CLUSTER", "MYID")))
        eventually(lambda: all(map(self._is_whole, self.nodes)), 30)

    def stop(self) -> None:
        """End all that run."""
        for node in self.nodes:
            node.kill()

    def empty(self) -> None:
        """Forget everything but whose the slots are."""
        for node in self.masters:
            node.ask("FLUSHALL")

    def owner_of(self, queue: str) -> RedisServer:
        """The node that had this queue's slot in the beginning."""
        size = REDIS_CLUSTER_HASH_SLOTS // len(self.masters) + 1
        return self.masters[key_slot(queue.encode()) // size]

    def serving(self, queue: str) -> RedisServer:
        """The node that has this queue's slot now, as most of them say."""
        slot = key_slot(queue.encode())
        ports = Counter(port for node in self.nodes if (port := _owner_as_told_by(node, slot)))
        (port, _), *_ = ports.most_common(1)
        return next(node for node in self.nodes if node.port == port)

    def _is_known_to(self, node: RedisServer) -> bool:
        return int(_cluster_info(node).get("cluster_known_nodes", 0)) == len(self.nodes)

    def _is_whole(self, node: RedisServer) -> bool:
        linked = node in self.masters or node.info("replication").get("master_link_status") == "up"
        return linked and _cluster_info(node).get("cluster_state") == "ok"


def _owner_as_told_by(node: RedisServer, slot: int) -> int | None:
    for first, last, (_, port, *_), *_ in node.ask("CLUSTER", "SLOTS") or []:
        if first <= slot <= last:
            return int(port)
    return None


def _cluster_info(node: RedisServer) -> dict[str, str]:
    return node.ask("CLUSTER INFO") or {}
