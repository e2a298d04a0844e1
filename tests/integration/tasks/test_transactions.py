"""The floor under every verb: one transaction, repeated when it lost a deadlock; the database's clock; keys; connections."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from dtq_site.foundation import database, statements
from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.database import (
    close_broken_connections,
    reading,
    repeats_lock_conflicts,
    reset_connections,
    sample_database_clock,
)
from dtq_site.foundation.statements import Statement, write_together
from tasks import metrics
from tasks.models import Queue
from tests.support.factories import START, in_own_connection

DEADLOCK = OperationalError(1213, "Deadlock found when trying to get lock; try restarting transaction")


class Verb:
    """Writes a queue, then fails as often as it was told to."""

    def __init__(self, failures: int, error: Exception = DEADLOCK) -> None:
        self.failures, self.error, self.calls = failures, error, 0

    def __call__(self) -> str:
        self.calls += 1
        Queue.objects.create(name=f"try-{self.calls}", created_at=START)
        if self.calls <= self.failures:
            raise self.error
        return "done"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait between two tries."""
    monkeypatch.setattr(database, "full_jitter", lambda *_, **__: 0.0)


def run(verb: Verb) -> str:
    return repeats_lock_conflicts(lambda: verb())()


def queues() -> list[str]:
    return sorted(Queue.objects.exclude(name="default").values_list("name", flat=True))


def test_a_lost_deadlock_is_repeated_and_leaves_nothing_of_the_first_try():
    verb = Verb(failures=2)

    assert run(verb) == "done"
    assert (verb.calls, queues()) == (3, ["try-3"])


def test_after_five_tries_the_error_is_the_caller_s():
    verb = Verb(failures=99)

    with pytest.raises(OperationalError):
        run(verb)

    assert (verb.calls, queues()) == (5, [])


def test_another_error_is_not_repeated():
    verb = Verb(1, OperationalError(1048, "Column cannot be null"))

    with pytest.raises(OperationalError):
        run(verb)

    assert (verb.calls, queues()) == (1, [])


def test_inside_a_caller_s_transaction_it_is_the_caller_who_repeats():
    verb = Verb(failures=1)

    with pytest.raises(OperationalError), transaction.atomic():
        run(verb)

    assert (verb.calls, queues()) == (1, [])


# --- several statements, one round trip -----------------------------------------------------------------------------


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


# --- conflicts are counted -------------------------------------------------------------------------------------------


def conflicts() -> dict[str, float]:
    return {kind: n for (metric, kind), n in metrics.sums().items() if metric == metrics.CONFLICTS}


def test_conflicts_are_counted_by_kind_when_the_transaction_has_ended():
    with pytest.raises(OperationalError):
        run(Verb(99, OperationalError(1205, "Lock wait timeout exceeded; try restarting transaction")))
    run(Verb(failures=2))

    assert conflicts() == {"deadlock": 2, "lock_wait": 5}


def test_a_count_that_cannot_be_written_fails_nobody(monkeypatch):
    monkeypatch.setattr(metrics, "record", raising)

    assert run(Verb(failures=1)) == "done"
    assert conflicts() == {}


def test_other_errors_are_no_conflicts():
    with pytest.raises(OperationalError):
        run(Verb(1, OperationalError(1048, "Column cannot be null")))

    assert conflicts() == {}


@pytest.mark.skipif("connection.vendor != 'mysql'")
def test_of_two_transactions_that_block_each_other_one_is_repeated_and_both_are_written():
    for name in "ab":
        Queue.objects.create(name=name, created_at=START)
    both_hold_one = threading.Barrier(2)

    def pause(first: str, second: str) -> int:
        tries = 0

        @repeats_lock_conflicts
        def verb() -> None:
            nonlocal tries
            tries += 1
            Queue.objects.filter(name=first).update(weight=F("weight") + 1)
            if tries == 1:
                both_hold_one.wait(10)
            Queue.objects.filter(name=second).update(weight=F("weight") + 1)

        in_own_connection(verb)
        return tries

    with ThreadPoolExecutor(2) as pool:
        tries = list(pool.map(pause, "ab", "ba"))

    assert sorted(tries) == [1, 2]
    assert dict(Queue.objects.exclude(name="default").values_list("name", "weight")) == {"a": 3, "b": 3}
    assert conflicts() == {"deadlock": 1}


@pytest.mark.skipif("connection.vendor != 'mysql'")
def test_a_wait_for_a_lock_that_takes_too_long_is_repeated_and_counted():
    Queue.objects.create(name="a", created_at=START)
    tries = 0

    @repeats_lock_conflicts
    def verb() -> None:
        nonlocal tries
        tries += 1
        if tries == 2:
            holder.rollback()
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION innodb_lock_wait_timeout = 1")
        Queue.objects.filter(name="a").update(weight=7)

    holder = connection.copy()
    holder.set_autocommit(False)
    with holder.cursor() as cursor:
        cursor.execute("SELECT * FROM tasks_queue WHERE name = 'a' FOR UPDATE")
    try:
        verb()
    finally:
        holder.close()

    assert (tries, Queue.objects.get(name="a").weight) == (2, 7)
    assert conflicts() == {"lock_wait": 1}


@pytest.mark.skipif("connection.vendor != 'mysql'")
def test_locks_of_a_process_that_was_suspended_within_a_transaction_are_freed_by_the_database():
    Queue.objects.create(name="a", created_at=START)
    holder = connection.copy()
    holder.set_autocommit(False)
    try:
        with holder.cursor() as cursor:
            cursor.execute("SELECT @@idle_transaction_timeout")
            assert cursor.fetchone() == (60,)
            cursor.execute("SET SESSION idle_transaction_timeout = 1")
            cursor.execute("UPDATE tasks_queue SET weight = 9 WHERE name = 'a'")

        Queue.objects.filter(name="a").update(weight=7)  # waits for less than its limit of three seconds
    finally:
        holder.close()

    assert Queue.objects.get(name="a").weight == 7


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


def raising(*_: object) -> None:
    raise InterfaceError(0, "")


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
