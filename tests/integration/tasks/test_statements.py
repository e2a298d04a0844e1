"""Statements that are written together in one round trip, and readings that are repeated."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from dtq_site.foundation import statements
from dtq_site.foundation.connections import reading
from dtq_site.foundation.statements import Statement, write_together
from tests.integration.tasks.transacting import queues
from tests.support.factories import in_own_connection


def naming(name: str) -> Statement:
    """The statement that inserts a queue of that name."""
    return Statement(
        "INSERT INTO tasks_queue (name, paused, weight, created_at) VALUES (%s, 0, 1, %s)", [name, "2030-01-01"]
    )


def test_statements_that_are_written_together_are_committed_in_one_round_trip():
    with CaptureQueriesContext(connection) as queries:
        write_together([naming("100%"), naming("b'; c")])

    assert queues() == ["100%", "b'; c"]
    if connection.vendor == "mysql":
        assert len(queries) == 1
    assert not connection.in_atomic_block and connection.get_autocommit()


@pytest.mark.parametrize("names", [("a", "a"), ("default", "a")])
def test_of_statements_that_are_written_together_one_that_fails_undoes_all(names: tuple[str, str]):
    with pytest.raises(IntegrityError):
        write_together([naming(name) for name in names])

    assert queues() == []
    write_together([naming("next")])
    connection.close()
    assert queues() == ["next"]


def test_what_one_packet_should_not_carry_is_written_in_several(monkeypatch):
    monkeypatch.setattr(statements, "STATEMENT_BYTES", 10)
    heavy = [replace(naming(name), weight=6) for name in "ab"]

    with CaptureQueriesContext(connection) as queries:
        write_together(heavy)

    assert queues() == ["a", "b"]
    assert len([query for query in queries if "INSERT" in query["sql"]]) == 2


@pytest.mark.skipif("connection.vendor != 'mysql'")
def test_an_interruption_on_the_way_leaves_a_connection_that_can_be_used():
    def interrupt(execute: Any, *arguments: Any) -> None:
        execute(*arguments)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), connection.execute_wrapper(interrupt):
        write_together([naming("a"), naming("b")])

    write_together([naming("next")])
    assert "next" in queues()
    connection.close()
    assert queues() == ["a", "b", "next"]  # the server had got them all


@pytest.mark.skipif("connection.vendor != 'mysql'")
def test_a_reading_on_a_connection_that_was_cut_off_is_repeated_on_a_new_one_but_not_in_a_transaction():
    def cut_off() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT CONNECTION_ID()")
            (number,) = cursor.fetchone()
        in_a_thread(lambda: connection.cursor().execute(f"KILL CONNECTION {number}"))

    cut_off()
    assert reading(queues) == []

    with pytest.raises(OperationalError), transaction.atomic():
        reading(lambda: (cut_off(), queues()))
    assert reading(queues) == []


def in_a_thread(action: Any) -> None:
    thread = threading.Thread(target=lambda: in_own_connection(action))
    thread.start()
    thread.join(10)
