"""Where the database and Redis are, in the forms in which Django and redis-py are told: pure, from the settings' values."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from urllib.parse import quote

import environ

from dtq_site.foundation.embedded_redis import socket_url
from dtq_site.foundation.redis_address import TLS_FILES, speaks_tls, with_tls_files
from dtq_site.options import SiteOptions


def problems(site: SiteOptions) -> list[str]:
    """What does not fit together in what the settings say of the servers; a line for each."""
    redis_tls = (site.redis_tls_ca, site.redis_tls_cert, site.redis_tls_key)
    rules = (
        (
            bool(site.database_tls_cert) != bool(site.database_tls_key),
            "DATABASE_TLS_CERT and DATABASE_TLS_KEY belong together: set both, or neither.",
        ),
        (
            bool(site.database_tls_cert or site.database_tls_key) and not site.database_tls_ca,
            "DATABASE_TLS_CA is missing. Without it the database's certificate would not be verified.",
        ),
        (
            _kind(_address(site, Path())) not in {"mysql", "sqlite3"},
            "DATABASE_URL is not allowed: use mysql://… for MySQL or MariaDB, or sqlite:///…",
        ),
        (
            bool(site.redis_tls_cert) != bool(site.redis_tls_key),
            "REDIS_TLS_CERT and REDIS_TLS_KEY belong together: set both, or neither.",
        ),
        (
            any(redis_tls) and not (speaks_tls(site.redis_url) or speaks_tls(site.dispatch_redis_url)),
            "REDIS_TLS_CA, REDIS_TLS_CERT or REDIS_TLS_KEY is set, but no URL of Redis begins with rediss.",
        ),
    )
    return [problem for broken, problem in rules if broken]


def database(site: SiteOptions, data_folder: Path) -> dict[str, Any]:
    """Django's settings of the one database; an SQLite file in the folder if none is named."""
    config = _address(site, data_folder)
    kind = _kind(config)
    if kind == "sqlite3":
        # Writers must queue from the start of their transaction: a deferred one fails with "database is locked".
        config["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 5,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        }
        config["TEST"] = {"NAME": str(config["NAME"]) + ".test"}
    else:
        seconds = math.ceil(site.database_timeout.total_seconds())
        config["OPTIONS"] = {
            "charset": "utf8mb4",
            "isolation_level": "read committed",
            "connect_timeout": 3,
            "read_timeout": seconds,
            "write_timeout": seconds,
            # A process that was suspended within a transaction must not keep its locks for ever. Of MariaDB's own, hence the
            # comment, which MySQL skips.
            "init_command": "SET SESSION innodb_lock_wait_timeout = 3 /*M!100300 , idle_transaction_timeout = 60 */",
            **_database_tls(site),
        }
        config["TEST"] = {"CHARSET": "utf8mb4"}
    config["ENGINE"] = f"dtq_site.backends.{kind}"
    config["CONN_MAX_AGE"] = 0  # under ASGI a kept connection would stay open, unused, after each request's thread
    return config


def redis_urls(site: SiteOptions, embedded_folder: Path) -> list[str]:
    """The URL of Redis, and that of the dispatch index where it has a Redis of its own, else empty."""
    named = dict(zip(TLS_FILES, (site.redis_tls_ca, site.redis_tls_cert, site.redis_tls_key), strict=True))
    urls = [_redis_url(site, embedded_folder), site.dispatch_redis_url]
    return [with_tls_files(url, named) if speaks_tls(url) else url for url in urls]


def _address(site: SiteOptions, data_folder: Path) -> dict[str, Any]:
    if site.database_url:
        return dict(environ.Env.db_url_config(site.database_url))
    if site.database_host:
        return {
            "ENGINE": "django.db.backends.mysql",
            "HOST": site.database_host,
            "PORT": site.database_port,
            "USER": site.database_user,
            "PASSWORD": site.database_password,
            "NAME": site.database_name,
        }
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(data_folder / "dtq.sqlite3")}


def _kind(config: dict[str, Any]) -> str:
    return config["ENGINE"].rpartition(".")[2]


def _database_tls(site: SiteOptions) -> dict[str, Any]:
    files = {"ca": site.database_tls_ca, "cert": site.database_tls_cert, "key": site.database_tls_key}
    named = {name: path for name, path in files.items() if path}
    return {"ssl_mode": "VERIFY_IDENTITY", "ssl": named} if named else {}


def _redis_url(site: SiteOptions, embedded_folder: Path) -> str:
    if site.redis_url:
        return site.redis_url
    if site.redis_host:
        user, password = (quote(text, safe="") for text in (site.redis_username, site.redis_password))
        sign_in = f"{user}:{password}@" if user or password else ""
        return f"redis://{sign_in}{site.redis_host}:{site.redis_port}/0"
    return socket_url(embedded_folder)
