"""What production refuses and what it warns of: each with the setting that mends it, and nothing when all is well."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from accounts.options import AccountsOptions
from dtq_site.options import SiteOptions
from dtq_site.production import refusals, warnings
from tasks.options import TasksOptions

SITE = SiteOptions(
    environment="production",
    allowed_hosts=("dtq.example.com",),
    allowed_origins=("https://app.example.com",),
    database_url="mysql://dtq:secret@db.internal/dtq",
    redis_url="redis://:secret@redis.internal/0",
    metrics_token="one-of-our-own",
    mail_url="smtp+tls://mail.example.com",
    https_redirect=True,
)
ACCOUNTS = AccountsOptions(jwt_secret="3d8b0c5f9a7e6142" * 2, trusted_proxies=1)
MARIADB = {"ENGINE": "dtq_site.backends.mysql", "HOST": "db.internal", "PASSWORD": "secret"}


def test_a_proper_installation_is_neither_refused_nor_warned_of() -> None:
    assert refusals(SITE, ACCOUNTS, redis_is_embedded=False) == []
    assert warnings(SITE, ACCOUNTS, TasksOptions(), database=MARIADB, redis_urls=[SITE.redis_url, ""]) == []


@pytest.mark.parametrize(
    ("site", "accounts", "named"),
    [
        ({}, {"jwt_secret": ""}, "JWT_SECRET is missing."),
        ({}, {"jwt_secret": "changeme" * 4}, "JWT_SECRET has too few different characters to be random."),
        ({"database_url": ""}, {}, "DATABASE_URL is missing."),
        ({"allowed_hosts": ()}, {}, "DTQ_ALLOWED_HOSTS is missing."),
        (
            {"allowed_hosts": ("dtq.example.com", "*")},
            {},
            "DTQ_ALLOWED_HOSTS='*' lets anybody choose the host in our links.",
        ),
        (
            {"allowed_origins": ("https://app.example.com", "http://old.example.com")},
            {},
            "DTQ_ALLOWED_ORIGINS has http://old.example.com: whoever is on the way could change such a page and use the "
            "tokens of its visitors.",
        ),
        (
            {},
            {"trusted_proxies": 0},
            "DTQ_HTTPS_REDIRECT=true without DTQ_TRUSTED_PROXIES would redirect for ever: only a proxy that is trusted can "
            "say that a request came by https.",
        ),
    ],
)
def test_what_is_unsafe_is_refused_alone_and_with_a_remedy(
    site: dict[str, Any], accounts: dict[str, Any], named: str
) -> None:
    [problem] = refusals(replace(SITE, **site), replace(ACCOUNTS, **accounts), redis_is_embedded=False)

    assert problem.startswith(named)
    assert len(problem) > len(named) + 10  # what to do follows


def test_the_embedded_redis_is_refused() -> None:
    [problem] = refusals(SITE, ACCOUNTS, redis_is_embedded=True)

    assert problem.startswith("REDIS_URL is missing.")


def test_a_database_may_be_named_in_parts() -> None:
    assert refusals(replace(SITE, database_url="", database_host="db"), ACCOUNTS, redis_is_embedded=False) == []


def test_all_refusals_are_told_at_once() -> None:
    problems = refusals(SiteOptions(), AccountsOptions(), redis_is_embedded=True)

    assert [problem.split()[0] for problem in problems] == [
        "JWT_SECRET",
        "DATABASE_URL",
        "REDIS_URL",
        "DTQ_ALLOWED_HOSTS",
    ]


SQLITE = {"ENGINE": "dtq_site.backends.sqlite3", "NAME": "/var/lib/dtq/dtq.sqlite3"}


@pytest.mark.parametrize(
    ("number", "remedy", "changes"),
    [
        (1, "DTQ_METRICS_TOKEN", {"site": {"metrics_token": ""}}),
        (2, "REDIS_PASSWORD", {"redis_urls": ["redis://redis.internal:6379/0", ""]}),
        (2, "REDIS_PASSWORD", {"redis_urls": [SITE.redis_url, "rediss://10.0.0.7:6379/0"]}),
        (3, "DATABASE_PASSWORD", {"database": MARIADB | {"PASSWORD": ""}}),
        (4, "DATABASE_URL", {"database": SQLITE}),
        (5, "DTQ_TRUSTED_PROXIES", {"accounts": {"trusted_proxies": 0}}),
        (6, "DTQ_HTTPS_REDIRECT", {"site": {"https_redirect": False}}),
        (7, "DTQ_HSTS", {"site": {"hsts": timedelta(0)}}),
        (8, "DTQ_HTTP_ALLOW_PRIVATE", {"tasks": {"allow_private_addresses": True}}),
        (9, "EMAIL_URL", {"site": {"mail_url": ""}}),
    ],
)
def test_what_may_be_unsafe_is_warned_of_alone_and_with_the_setting_that_mends_it(
    number: int, remedy: str, changes: dict[str, Any]
) -> None:
    [warned] = warnings(
        replace(SITE, **changes.get("site", {})),
        replace(ACCOUNTS, **changes.get("accounts", {})),
        TasksOptions(**changes.get("tasks", {})),
        database=changes.get("database", MARIADB),
        redis_urls=changes.get("redis_urls", [SITE.redis_url]),
    )

    assert warned.number == number
    assert remedy in warned.remedy


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_servers_on_this_machine_need_no_password(host: str) -> None:
    database = MARIADB | {"HOST": host.strip("[]"), "PASSWORD": ""}

    assert warnings(SITE, ACCOUNTS, TasksOptions(), database=database, redis_urls=[f"redis://{host}:6379/0"]) == []


def test_sockets_of_this_machine_need_no_password() -> None:
    database = MARIADB | {"HOST": "/run/mysqld/mysqld.sock", "PASSWORD": ""}

    assert warnings(SITE, ACCOUNTS, TasksOptions(), database=database, redis_urls=["unix:///run/redis.sock?db=0"]) == []
