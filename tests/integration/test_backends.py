"""Connections to the database: what they count, and what they make but once."""

from __future__ import annotations

import pytest
from django.db import connection
from prometheus_client import REGISTRY

pytestmark = pytest.mark.django_db


def counted(name: str) -> float:
    return REGISTRY.get_sample_value(name, {"alias": "default", "vendor": connection.vendor}) or 0.0


def test_a_statement_is_counted_and_timed():
    executed, timed = counted("django_db_execute_total"), counted("django_db_query_duration_seconds_count")

    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")

    assert counted("django_db_execute_total") - executed == 1
    assert counted("django_db_query_duration_seconds_count") - timed == 1


def test_cursors_of_a_connection_are_of_one_class():
    with connection.cursor() as one, connection.cursor() as other:
        assert type(one.cursor) is type(other.cursor)
        assert type(one.cursor) is connection.cursor_class
