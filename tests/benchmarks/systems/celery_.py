"""Celery with django-celery-results: the other system here that keeps outcomes in SQL."""

from __future__ import annotations

from dataclasses import replace

from tests.benchmarks.systems import System

SETTINGS = "tests.benchmarks.applications.celery_settings"

CELERY = System(
    title="Celery",
    application="celery_app",
    preparation=(("-m", "django", "migrate", "--verbosity", "0", f"--settings={SETTINGS}"),),
    worker=(
        *("-m", "celery", "--app", "tests.benchmarks.applications.celery_app", "worker"),
        *("--pool", "prefork", "--concurrency", "2", "--loglevel", "WARNING"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ),
    configuration="Broker in Redis, results by django-celery-results in MariaDB. `--pool prefork --concurrency 2`, a prefetch "
    "of 100 a process, early acknowledgement (its default, and the fastest), no gossip, mingle, heartbeat, events, rate "
    "limits or remote control. Waiting tasks are in Redis alone. In bulk `apply_async` within one `producer.batch()`.",
)
CELERY_KEEPING = replace(
    CELERY,
    title="Celery, connections kept",
    only_drained=True,
    variables={"BENCHMARK_CONNECTION_REUSES": "1000000"},
    configuration="Celery connects to the database anew for every task, and wants it so; its option `CELERY_DB_REUSE_MAX`, "
    "which its manual does not name, keeps the connection. It takes part in the drain only.",
)
