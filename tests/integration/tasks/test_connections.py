"""Connections to the database, which outlive neither a fault nor other people's code; its clock, and its keys."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection, transaction

from dtq_site.foundation import database
from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.connections import close_broken_connections, reset_connections
from dtq_site.foundation.database import sample_database_clock
from tasks.models import Queue
from tests.integration.tasks.transacting import queues, raising
from tests.support.factories import START

# --- clock, keys, connections ----------------------------------------------------------------------------------------


def test_the_database_s_clock_is_utc():
    told = sample_database_clock()

    assert told.tzinfo is UTC
    assert abs(told - datetime.now(UTC)) < timedelta(seconds=5)


def test_keys_differ_by_case_and_by_trailing_blanks():
    for name in ("k", "K", "k ", "ḱ"):
        Queue.objects.create(name=name, created_at=START)

    assert Queue.objects.filter(name="k").count() == 1
    assert len(queues()) == 4


def test_a_healthy_connection_is_kept_and_one_in_a_transaction_is_left_alone():
    connection.ensure_connection()
    connection.errors_occurred = True
    kept = connection.connection

    close_broken_connections()
    assert connection.connection is kept and not connection.errors_occurred

    with transaction.atomic():
        connection.errors_occurred = True
        close_broken_connections()
        assert connection.connection is kept
    connection.errors_occurred = False


def test_a_broken_connection_is_given_up_and_the_next_query_opens_another(monkeypatch):
    connection.ensure_connection()
    connection.errors_occurred = True
    broken = connection.connection
    monkeypatch.setattr(connection, "is_usable", lambda: False)

    close_broken_connections()
    monkeypatch.undo()

    assert queues() == []
    assert connection.connection is not broken


def test_a_connection_that_cannot_even_be_closed_is_given_up(monkeypatch):
    connection.ensure_connection()
    connection.connection.close()
    connection.errors_occurred = True
    monkeypatch.setattr(connection, "_close", raising)
    monkeypatch.setattr(connection, "is_usable", raising)

    close_broken_connections()
    monkeypatch.undo()

    assert connection.connection is None
    assert queues() == []


# --- after other people's code -------------------------------------------------------------------------------------


def leave_without_autocommit() -> None:
    transaction.set_autocommit(False)


def leave_in_a_transaction() -> None:
    transaction.atomic().__enter__()
    transaction.on_commit(raising)


def leave_in_a_doomed_one() -> None:
    transaction.atomic().__enter__()
    transaction.atomic().__enter__()
    transaction.set_rollback(True)
    connection.close()


@pytest.mark.parametrize("leave", [leave_without_autocommit, leave_in_a_transaction])
def test_what_was_left_in_a_transaction_is_undone_and_the_next_work_is_not(leave):
    leave()
    Queue.objects.create(name="left", created_at=START)

    assert reset_connections()
    with transaction.atomic():
        Queue.objects.create(name="next", created_at=START)

    connection.close()
    assert queues() == ["next"]
    assert not reset_connections()


def test_a_transaction_that_cannot_be_used_any_more_is_left_too():
    leave_in_a_doomed_one()

    assert reset_connections()
    with transaction.atomic():
        Queue.objects.create(name="next", created_at=START)

    connection.close()
    assert queues() == ["next"]


def test_a_connection_at_rest_is_kept():
    connection.ensure_connection()
    kept = connection.connection

    assert not reset_connections()
    assert connection.connection is kept
    connection.close()
    assert not reset_connections()


@pytest.mark.usefixtures("committed_db")
def test_a_creation_gives_up_in_seconds_while_another_program_holds_the_database():
    if connection.vendor != "sqlite":
        pytest.skip("locks of the whole database are SQLite's")
    from tests.support.factories import create

    other = sqlite3.connect(str(connection.settings_dict["NAME"]), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    started = elapsed_clock()

    with pytest.raises(OperationalError) as refusal:
        create(START)

    other.execute("ROLLBACK")
    other.close()
    assert database.is_lock_conflict(refusal.value)
    assert elapsed_clock() - started < 9
