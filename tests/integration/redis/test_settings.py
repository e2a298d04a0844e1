"""Settings of Redis and of TLS that cannot be meant stop the start, and say what to do instead."""

from __future__ import annotations

import pytest

from tests.support.processes import Processes

HERE = __file__  # any file that can be read


@pytest.mark.parametrize(
    ("variables", "problems"),
    [
        (
            {
                "REDIS_URL": "redis+cluster://:topsecret@n1",
                "DTQ_DISPATCH_REDIS_URL": "redis+cluster://:topsecret@n1/0",
                "REDIS_TLS_CA": "/no/such/file",
            },
            [
                "REDIS_URL=(hidden) is not allowed: a cluster can hold the dispatch index only",
                "DTQ_DISPATCH_REDIS_URL=(hidden) is not allowed: a cluster has no databases",
                "REDIS_TLS_CA='/no/such/file' is not allowed: there is no such file that this process can read",
            ],
        ),
        (
            {
                "REDIS_URL": "redis://:topsecret@h",
                "REDIS_TLS_CA": HERE,
                "REDIS_TLS_KEY": HERE,
                "DATABASE_URL": "mysql://dtq:topsecret@h/dtq",
                "DATABASE_TLS_CERT": HERE,
                "DATABASE_TLS_KEY": HERE,
            },
            [
                "REDIS_TLS_CERT and REDIS_TLS_KEY belong together: set both, or neither.",
                "no URL of Redis begins with rediss",
                "DATABASE_TLS_CA is missing. Without it the database's certificate would not be verified.",
            ],
        ),
    ],
    ids=["each by itself", "together"],
)
def test_what_cannot_be_meant_stops_the_start(
    variables: dict[str, str], problems: list[str], committed_db: None, processes: Processes
):
    starting = processes.manage("check", **variables)

    assert starting.wait() != 0
    assert [problem for problem in problems if problem not in starting.output] == []
    assert "topsecret" not in starting.output
