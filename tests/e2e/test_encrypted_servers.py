"""Redis and MariaDB over TLS, with certificates on both sides and with users that may do no more than DTQ needs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisAway
from redis.exceptions import ResponseError

from tests.e2e.api_client import FOLLOW, RECOVERY
from tests.e2e.conftest import HANDLERS
from tests.support.certificates import Authority
from tests.support.graphql_socket import signed_in
from tests.support.processes import ROOT, Processes
from tests.support.servers import MariaDbServer, RedisServer, free_port

ACL = ROOT / "docker" / "redis" / "users.acl"

needs_redis_server = pytest.mark.skipif(
    RedisServer.program is None, reason="this needs the Debian package redis-server"
)


@dataclass(frozen=True)
class EncryptedRedis:
    """A server that speaks TLS only, asks for certificates, and has no user but `dtq`."""

    server: RedisServer
    tls_port: int
    authority: Authority
    files: dict[str, str]

    def variables(self, host: str = "127.0.0.1", ca: Path | None = None) -> dict[str, str]:
        """What leads a process to it under that name."""
        given = {**self.files, "REDIS_TLS_CA": str(ca)} if ca else self.files
        return {"REDIS_URL": f"rediss://dtq:of-our-own@{host}:{self.tls_port}/0", **given}


@pytest.fixture
def encrypted_redis(tmp_path: Path) -> Iterator[EncryptedRedis]:
    """With the ACL file that we recommend. The port without TLS is the test's, for a look behind."""
    authority = Authority(tmp_path / "authority")
    certificate, key = authority.issue("redis", "127.0.0.1")
    ours, our_key = authority.issue("dtq")
    rules = ACL.read_text().replace("change-me", "of-our-own").replace("user default off\n", "")
    server = RedisServer(
        tmp_path / "redis",
        f"tls-port {(port := free_port())}",
        f"tls-cert-file {certificate}\ntls-key-file {key}\ntls-ca-cert-file {authority.ca}\ntls-auth-clients yes",
        rules,
    )
    server.start()
    files = {"REDIS_TLS_CA": str(authority.ca), "REDIS_TLS_CERT": str(ours), "REDIS_TLS_KEY": str(our_key)}
    yield EncryptedRedis(server, port, authority, files)
    server.stop()


@needs_redis_server
def test_the_rights_of_the_acl_file_suffice_for_everything_over_tls(
    encrypted_redis: EncryptedRedis,
    processes: Processes,
    start_client: Callable[..., Any],
    start_worker: Callable[..., Any],
    start_scheduler: Callable[..., Any],
    journal: Path,
):
    variables = {**encrypted_redis.variables(), "DTQ_HANDLERS": HANDLERS}
    start_scheduler(**variables)
    start_worker(**variables)
    client = start_client(**variables)

    with signed_in(client.server.socket_url, client.token) as socket:
        first = client.create(name="journal", payload={"journal": str(journal), "word": "a"}, delaySeconds=1)
        followed = socket.follow(FOLLOW, id=first)
        assert socket.until(followed, "taskUpdated", "COMPLETED", RECOVERY)
    assert [client.log_in(word).status_code for word in ("wrong", "none")] == [401, 401]
    health, metrics = client.http.get("/health"), client.http.get("/metrics")

    assert health.json()["checks"]["redis"]["status"] == "ok"
    assert re.search(r"^dtq_redis_up 1\.0$", metrics.text, re.MULTILINE)
    assert encrypted_redis.server.ask("ACL LOG") == []  # nothing was refused


@needs_redis_server
def test_the_rights_of_the_acl_file_are_no_more(encrypted_redis: EncryptedRedis):
    port = encrypted_redis.server.port
    with Redis(port=port, username="dtq", password="of-our-own", decode_responses=True) as client:
        assert client.set("dtq:x", "1")
        for command in (
            ("FLUSHALL",),
            ("CONFIG", "GET", "*"),
            ("KEYS", "*"),
            ("ACL", "LIST"),
            ("GET", "other"),
            ("PUBLISH", "other", "x"),
            ("EVAL", "return redis.call('GET', 'other')", "0"),
        ):
            with pytest.raises(ResponseError, match="has no permissions|can't access"):
                client.execute_command(*command)


@needs_redis_server
@pytest.mark.parametrize("wrong", ["name", "authority"])
def test_a_redis_that_is_not_vouched_for_is_away(wrong: str, encrypted_redis: EncryptedRedis, tmp_path: Path):
    from dtq_site.foundation.redis_address import TLS_FILES, with_tls_files
    from dtq_site.foundation.redis_clients import redis_client

    host, ca = ("localhost", None) if wrong == "name" else ("127.0.0.1", Authority(tmp_path / "stranger").ca)
    given = encrypted_redis.variables(host, ca)
    right = encrypted_redis.variables()
    names = ("REDIS_TLS_CA", "REDIS_TLS_CERT", "REDIS_TLS_KEY")

    def client_of(variables: dict[str, str]) -> Redis:
        files = dict(zip(TLS_FILES, (variables[name] for name in names), strict=True))
        return redis_client(with_tls_files(variables["REDIS_URL"], files), timeout_seconds=2)

    assert client_of(right).ping()
    with pytest.raises(RedisAway, match="certificate verify failed"):
        client_of(given).ping()


@pytest.fixture(scope="module")
def encrypted_mariadb(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[dict[str, str]]:
    """A MariaDB whose user must come over TLS with a certificate; what leads a process to it."""
    if request.config.getoption("backing") != "mariadb":
        pytest.skip("starts a MariaDB of its own, which --backing=mariadb needs anyway")
    folder = tmp_path_factory.mktemp("encrypted")
    authority = Authority(folder / "authority")
    certificate, key = authority.issue("mariadb", "127.0.0.1")
    ours, our_key = authority.issue("dtq")
    server = MariaDbServer(
        folder / "mariadb",
        *(f"--ssl-ca={authority.ca}", f"--ssl-cert={certificate}", f"--ssl-key={key}"),
        "--bind-address=127.0.0.1,127.0.0.2",  # the certificate is for the first
        requires="X509",
        tls={"ssl": {"ca": str(authority.ca), "cert": str(ours), "key": str(our_key)}},
    )
    server.start()
    files = {"DATABASE_TLS_CA": str(authority.ca), "DATABASE_TLS_CERT": str(ours), "DATABASE_TLS_KEY": str(our_key)}
    yield {"DATABASE_URL": server.url(), **files}
    server.stop()


def test_mariadb_is_used_over_tls_with_a_certificate(
    encrypted_mariadb: dict[str, str], committed_db: None, processes: Processes
):
    looking = processes.manage("showmigrations", "tasks", **encrypted_mariadb)

    assert looking.wait() == 0, looking.output
    assert "[ ] 0001_" in looking.output


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("name", "Validation of SSL server certificate failed"),
        ("authority", "self-signed certificate in certificate chain"),
        ("server", "SSL is required, but the server does not support it"),
        ("certificate", "Access denied"),
    ],
)
def test_mariadb_is_not_spoken_to_where_it_or_we_cannot_be_trusted(
    wrong: str, told: str, encrypted_mariadb: dict[str, str], processes: Processes, tmp_path: Path
):
    changed = {
        "name": {"DATABASE_URL": encrypted_mariadb["DATABASE_URL"].replace("127.0.0.1", "127.0.0.2")},
        "authority": {"DATABASE_TLS_CA": str(Authority(tmp_path / "stranger").ca)},
        "server": {"DATABASE_URL": os.environ["DATABASE_URL"]},
        "certificate": {"DATABASE_TLS_CERT": "", "DATABASE_TLS_KEY": ""},
    }[wrong]

    looking = processes.manage("showmigrations", "tasks", **{**encrypted_mariadb, **changed})

    assert looking.wait() != 0
    assert told in looking.output
