"""Which errors of a database mean "again", and which mean "not now"."""

import pytest
from django.db import DataError, IntegrityError, InterfaceError, OperationalError

from dtq_site.foundation.connections import is_unavailable
from dtq_site.foundation.database import is_lock_conflict


@pytest.mark.parametrize(
    "error",
    [
        OperationalError(1213, "Deadlock found when trying to get lock"),
        OperationalError(1205, "Lock wait timeout exceeded"),
        OperationalError("database is locked"),
    ],
    ids=str,
)
def test_a_lost_deadlock_is_to_be_repeated(error):
    assert is_lock_conflict(error) and not is_unavailable(error)


@pytest.mark.parametrize(
    "error",
    [
        InterfaceError(0, ""),
        OperationalError(2002, "Can't connect to local server"),
        OperationalError(2006, "Server has gone away"),
        OperationalError(2013, "Lost connection to server during query"),
        OperationalError(1040, "Too many connections"),
        OperationalError(1053, "Server shutdown in progress"),
        OperationalError(1152, "Aborted connection"),
        OperationalError(1159, "Got timeout reading communication packets"),
        OperationalError(1160, "Got an error writing communication packets"),
        OperationalError(1161, "Got timeout writing communication packets"),
        OperationalError(1317, "Query execution was interrupted"),
        OperationalError(1927, "Connection was killed"),
        OperationalError(1969, "Query execution was interrupted (max_statement_time exceeded)"),
    ],
    ids=str,
)
def test_a_server_that_does_not_answer_is_unavailable(error):
    assert is_unavailable(error) and not is_lock_conflict(error)


@pytest.mark.parametrize(
    "error",
    [IntegrityError(1062, "Duplicate entry"), DataError(1406, "Data too long"), OperationalError(1048, "x"), OperationalError(),
     ValueError("database is locked")],
    ids=repr,
)  # fmt: skip
def test_a_refusal_is_neither(error):
    assert not is_unavailable(error) and not is_lock_conflict(error)
