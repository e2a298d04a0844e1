"""What the settings say of the database and Redis: the forms that Django and redis-py are told, and what does not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dtq_site.options import SiteOptions
from dtq_site.servers import database, problems, redis_urls

FOLDER = Path("/var/lib/dtq")


def test_nothing_said_is_a_file_and_a_socket_in_the_data_folder() -> None:
    config = database(SiteOptions(), FOLDER)
    redis, dispatch = redis_urls(SiteOptions(), FOLDER / "redis")

    assert (config["ENGINE"], config["NAME"]) == ("dtq_site.backends.sqlite3", "/var/lib/dtq/dtq.sqlite3")
    assert redis == "unix:///var/lib/dtq/redis/redis.sock?db=0"
    assert dispatch == ""


def test_a_server_may_be_named_in_parts_or_by_its_url() -> None:
    parts = SiteOptions(
        database_host="db", database_user="dtq", database_password="p@ss", redis_host="cache", redis_password="p@ss/1"
    )
    urls = SiteOptions(database_url="mysql://dtq:p%40ss@db:3306/dtq", redis_url="redis://:p%40ss%2F1@cache:6379/0")

    assert database(parts, FOLDER) == database(urls, FOLDER)
    assert redis_urls(parts, FOLDER) == redis_urls(urls, FOLDER) == ["redis://:p%40ss%2F1@cache:6379/0", ""]


@pytest.mark.parametrize(
    ("site", "named"),
    [
        ({"database_url": "postgres://dtq@db/dtq"}, "DATABASE_URL is not allowed: use mysql://"),
        ({"database_tls_ca": "ca", "database_tls_cert": "c"}, "DATABASE_TLS_CERT and DATABASE_TLS_KEY belong together"),
        ({"database_tls_cert": "c", "database_tls_key": "k"}, "DATABASE_TLS_CA is missing."),
        ({"redis_url": "rediss://r", "redis_tls_key": "k"}, "REDIS_TLS_CERT and REDIS_TLS_KEY belong together"),
        ({"redis_url": "redis://r", "redis_tls_ca": "ca"}, "REDIS_TLS_CA, REDIS_TLS_CERT or REDIS_TLS_KEY is set, but"),
    ],
)
def test_what_does_not_fit_is_named(site: dict[str, Any], named: str) -> None:
    [problem] = problems(replace(SiteOptions(), **site))

    assert problem.startswith(named)


def test_nothing_is_wrong_with_servers_that_speak_tls() -> None:
    site = SiteOptions(
        database_host="db", database_tls_ca="ca", dispatch_redis_url="rediss://cluster:6379/0", redis_tls_ca="ca"
    )

    assert problems(site) == problems(SiteOptions()) == []
    assert database(site, FOLDER)["OPTIONS"]["ssl"] == {"ca": "ca"}
    assert database(site, FOLDER)["OPTIONS"]["ssl_mode"] == "VERIFY_IDENTITY"
