"""Django may start an app more than once in a process; what apps add to one another at start is there once all the same."""

from __future__ import annotations

from collections import Counter

import pytest
from django.apps import apps
from django.test import Client

from tasks import explanation
from tests.support.factories import after, waiting

OWN = ("accounts", "tasks", "workers", "scheduling", "dtq_site")


@pytest.fixture(autouse=True)
def _started_twice() -> None:
    for label in OWN:
        apps.get_app_config(label).ready()


@pytest.mark.django_db
def test_a_task_has_each_reason_once():
    reasons = [reason.code for reason in explanation.explain(waiting(), after(61))]

    assert sorted(reasons) == ["DUE_LATER", "NO_SCHEDULER", "NO_WORKER"]


@pytest.mark.django_db
def test_a_scrape_has_each_metric_once():
    lines = Client().get("/metrics").content.decode().splitlines()

    described = Counter(line for line in lines if line.startswith("# HELP"))
    assert described["# HELP dtq_database_up Whether the database answers this process."] == 1
    assert set(described.values()) == {1}
