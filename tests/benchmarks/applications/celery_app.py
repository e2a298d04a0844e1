"""Celery with its broker in Redis and its results in SQL, by django-celery-results."""

from __future__ import annotations

import os

import django
from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.benchmarks.applications.celery_settings")
django.setup()

from django.db import connection  # noqa: E402
from django_celery_results.models import TaskResult  # noqa: E402

from tests.benchmarks import counting  # noqa: E402

app = Celery("benchmark", broker=os.environ["BENCHMARK_REDIS_URL"], set_as_current=True)
app.conf.update(
    result_backend="django-db",
    task_ignore_result=False,
    worker_prefetch_multiplier=100,  # short tasks want many fetched at once
    worker_disable_rate_limits=True,
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
    CELERY_DB_REUSE_MAX=int(os.environ.get("BENCHMARK_CONNECTION_REUSES", 0)),
)


@app.task(name="count")
def count() -> None:
    """Add one to the counter."""
    counting.count()


@app.task(name="arrive")
def arrive() -> None:
    """Tell when this began."""
    counting.arrive()


WAYS = {"count.delay()": count.delay}


def create_many(tasks: int) -> None:
    """One producer for all of them, which sends them in batches by a pipeline of Redis."""
    with app.producer_or_acquire() as producer, producer.batch():
        for _ in range(tasks):
            count.apply_async(producer=producer)


def create_arrival() -> None:
    """One task that tells when it begins."""
    arrive.delay()


def clear() -> None:
    """Empty the table of results."""
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TaskResult._meta.db_table}")


def make_ready() -> None:
    """Nothing has to run beside the worker."""


def waiting() -> int:
    """What is in the list of the default queue."""
    return int(counting.client.llen("celery"))


def recorded() -> int:
    """Results that say success."""
    return int(TaskResult.objects.filter(status="SUCCESS").count())
