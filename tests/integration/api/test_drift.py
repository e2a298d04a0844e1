"""`/metrics` tells how far the dispatch index was from the rows."""

from __future__ import annotations

import pytest
from django.test import Client

from tasks import metrics

pytestmark = pytest.mark.django_db


def drift() -> dict[str, float]:
    lines = Client().get("/metrics").content.decode().splitlines()
    pairs = (line.split(" ") for line in lines if line.startswith("dtq_index_drift_total{"))
    return {name: float(value) for name, value in pairs}


def test_both_kinds_of_drift_are_counted_from_the_start():
    missing, stale = 'dtq_index_drift_total{kind="missing"}', 'dtq_index_drift_total{kind="stale"}'
    assert drift() == {missing: 0, stale: 0}

    metrics.record({(metrics.DRIFT, metrics.STALE): 3})

    assert drift() == {missing: 0, stale: 3}
