"""The sums that creation adds to: one row a creation, any number of writers, shown with 0 from the start."""

from __future__ import annotations

from django.db.models import Sum
from django.test import Client

from tasks import metrics
from tasks.models import MetricSum
from tests.support.factories import create, waiting


def test_a_creation_adds_to_one_row_that_stands_for_its_level_and_its_first_state():
    create(priority=20)

    assert MetricSum.objects.count() == 1
    assert metrics.sums() == {(metrics.CREATED, "CRITICAL"): 1, (metrics.ENTERED, "QUEUED"): 1}


def test_additions_fall_into_shards_of_which_none_is_every_writer_s():
    for _ in range(40):
        metrics.record({("metric", "label"): 1})

    assert 1 < MetricSum.objects.count() <= metrics.SHARDS
    assert MetricSum.objects.aggregate(sum=Sum("value")) == {"sum": 40}
    assert metrics.sums() == {("metric", "label"): 40}


def test_nothing_is_added_for_nothing():
    metrics.record({("metric", "label"): 0})
    metrics.record({})

    assert not MetricSum.objects.exists()


def shown() -> set[str]:
    lines = Client().get("/metrics").content.decode().splitlines()
    return {line for line in lines if line.startswith(("dtq_database_conflicts_total", "tasks_created_total"))}


def test_conflicts_and_creations_are_shown_with_0_from_the_start_and_then_as_they_were_counted():
    assert shown() == {
        'dtq_database_conflicts_total{kind="deadlock"} 0.0',
        'dtq_database_conflicts_total{kind="lock_wait"} 0.0',
        *(f'tasks_created_total{{priority="{level}"}} 0.0' for level in ("CRITICAL", "HIGH", "NORMAL", "LOW")),
    }

    metrics.record_conflicts({"deadlock": 2})
    create(priority=10)
    waiting(priority=10)

    assert 'dtq_database_conflicts_total{kind="deadlock"} 2.0' in shown()
    assert 'tasks_created_total{priority="HIGH"} 2.0' in shown()
