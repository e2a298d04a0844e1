"""The connections of long-lived threads: what their errors mean, and how they are given up and made anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

Answer = TypeVar("Answer")

_LARGEST_STATEMENT = {"mysql": "SELECT @@max_allowed_packet", "sqlite": "SELECT 1000000000"}
_SERVER_IS_AWAY = {1040, 1053, 1203, 2002, 2003, 2006, 2013, 2026, 4031}
_PACKET_TOO_LARGE, _SERVER_GONE, _LOST_DURING_QUERY = 1153, 2006, 2013
_CUT_OFF = {1152, 1159, 1160, 1161, 1317, 1927, 1969}  # the connection or the statement was ended from outside


def is_unavailable(error: Exception) -> bool:
    """Whether the error says that the database cannot be reached, as opposed to having refused something."""
    if isinstance(error, InterfaceError):
        return True
    return isinstance(error, OperationalError) and bool(error.args) and error.args[0] in _SERVER_IS_AWAY | _CUT_OFF


def may_be_too_large(error: Exception) -> bool:
    """Whether the error is one of those with which the server, or its hanging up, answers a statement too large for it."""
    codes = ((_PACKET_TOO_LARGE,), (_SERVER_GONE,), (_LOST_DURING_QUERY,))
    return isinstance(error, OperationalError) and error.args[:1] in codes


def is_too_large(error: Exception, most_bytes: int) -> bool:
    """Whether `error`, which may mean that, is no accident: the server says so, or takes no statement of so many bytes."""
    if error.args[0] == _PACKET_TOO_LARGE:
        return True
    with connection.cursor() as cursor:
        cursor.execute(_LARGEST_STATEMENT[connection.vendor])
        (most,) = cursor.fetchone()
    return bool(most_bytes > most)


def reconnect() -> bool:
    """Open a new connection in place of this thread's; False if the database cannot be reached, or in a transaction."""
    if connection.in_atomic_block:
        return False
    give_up(connection)
    try:
        connection.ensure_connection()
    except (OperationalError, InterfaceError):
        return False
    return True


def reading(read: Callable[[], Answer]) -> Answer:
    """What `read` returns; it is called again on a new connection if this thread's has been cut off, perhaps long ago.

    It must be safe to repeat. In a transaction it is called once.
    """
    try:
        return read()
    except (OperationalError, InterfaceError) as error:
        if not is_unavailable(error) or not reconnect():
            raise
    return read()


def has_failed_connections() -> bool:
    """Whether one of this thread's connections has failed since `close_broken_connections` last looked after them."""
    return any(each.errors_occurred for each in connections.all(initialized_only=True))


def close_broken_connections(*, suspects_all: bool = False) -> None:
    """Give up this thread's connections that failed. Long-lived threads call it between two pieces of work. Never raises.

    With `suspects_all` those are tried too that have not failed yet: they may, if another thread's have.
    Leaves a connection in a transaction alone: a test's, or a caller's. Django's own `close_old_connections` would also
    close healthy ones, because `CONN_MAX_AGE` is 0 for the sake of ASGI, where every request has a thread of its own.
    """
    for each in connections.all(initialized_only=True):
        if each.in_atomic_block or each.connection is None or not (each.errors_occurred or suspects_all):
            continue
        if _is_usable(each):
            each.errors_occurred = False
        else:
            give_up(each)


@contextmanager
def impatient_connection(seconds: int) -> Iterator[None]:
    """Within the block this thread, which must have none yet, has a connection that gives up a server after so long a silence."""
    alias = connection.alias
    impatient = connections.create_connection(alias)
    limits = {
        "mysql": dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout"), seconds),
        "sqlite": {"timeout": seconds},
    }
    given = impatient.settings_dict
    impatient.settings_dict = given | {"OPTIONS": given["OPTIONS"] | limits[impatient.vendor]}
    connections[alias] = impatient
    try:
        yield
    finally:
        give_up(impatient)
        del connections[alias]


def reset_connections() -> bool:
    """Give up this thread's connections that were left in a transaction, undoing it; returns whether there were any.

    For after other people's code ran on the thread: what follows must not become part of a transaction that nobody commits.
    """
    left = [each for each in connections.all(initialized_only=True) if _is_in_transaction(each)]
    for each in left:
        each.in_atomic_block, each.needs_rollback, each.savepoint_ids = False, False, []
        give_up(each)
    return bool(left)


def _is_in_transaction(each: BaseDatabaseWrapper) -> bool:
    own_autocommit = each.connection is not None and each.autocommit != each.settings_dict["AUTOCOMMIT"]
    return each.in_atomic_block or own_autocommit


def _is_usable(each: BaseDatabaseWrapper) -> bool:
    try:
        return bool(each.is_usable())
    except Exception:
        return False


def give_up(each: BaseDatabaseWrapper) -> None:
    """Close the connection, or drop it where the driver refuses to close what is closed already."""
    with suppress(Exception):
        each.close()
    each.connection = None
