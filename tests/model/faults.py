"""What goes wrong between any two steps of the product: a crash, an error of the database or of Redis, somebody else's request.

A step is a statement, a commit, or a call of Redis. The tests' own look at the rows and at Redis is not a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from hypothesis import strategies as st
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ConnectionError as RedisAway


class Kind(StrEnum):
    """What strikes."""

    CRASH = "the process dies"
    AWAY = "the server of this step does not answer"
    CONFLICT = "the database lets this transaction lose a deadlock"
    MEANWHILE = "others act"
    REPLY_LOST = "all is done, but the asker does not hear of it"


@dataclass(frozen=True)
class Plan:
    """What strikes one request, and at which of its steps: before it, or once it has taken effect."""

    kind: Kind
    step: int
    after: bool


_kinds = st.sampled_from([Kind.CRASH, Kind.CRASH, Kind.AWAY, Kind.MEANWHILE, Kind.CONFLICT, Kind.REPLY_LOST])
plans = st.none() | st.builds(Plan, _kinds, st.integers(1, 9), st.booleans())


class ProcessDied(BaseException):
    """The process that was asked is gone: no handler of errors runs."""


@dataclass
class Serving:
    """How far the present request has come."""

    plan: Plan | None
    others: Callable[[], None] = lambda: None
    step: int = 0
    struck: bool = False


class Faults:
    """Counts the steps of the present request and strikes at the planned one."""

    def __init__(self) -> None:
        self.redis_is_away = False
        self._serving = Serving(None)

    @contextmanager
    def planned(self, plan: Plan | None, others: Callable[[], None] = lambda: None) -> Iterator[Serving]:
        """Let `plan` strike what is asked inside; `others` is what they do who act meanwhile."""
        outer, self._serving = self._serving, Serving(plan, others)
        try:
            yield self._serving
        finally:
            self._serving = outer

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Let nothing strike what is asked inside, and have Redis there: the tests look and prepare."""
        away, self.redis_is_away = self.redis_is_away, False
        try:
            with self.planned(None):
                yield
        finally:
            self.redis_is_away = away

    def step(self, take: Callable[[], Any], away: Exception, in_transaction: Callable[[], bool]) -> Any:
        """Take one step of the product; `away` is how its server's absence looks."""
        serving, plan = self._serving, self._serving.plan
        serving.step += 1
        if plan is None or serving.struck or serving.step < plan.step:
            return take()
        if plan.kind is Kind.MEANWHILE:
            if not in_transaction():  # else they would act inside of it
                serving.struck = True
                serving.others()
            return take()
        is_possible = in_transaction() if plan.kind is Kind.CONFLICT else plan.kind is not Kind.REPLY_LOST
        if serving.step > plan.step or not is_possible:
            return take()
        serving.struck = True
        return self._strike(plan, take, away)

    def _strike(self, plan: Plan, take: Callable[[], Any], away: Exception) -> Any:
        if plan.kind is Kind.CONFLICT:
            raise OperationalError(1213, "Deadlock found when trying to get lock; try restarting transaction")
        if plan.after:
            take()
        raise ProcessDied if plan.kind is Kind.CRASH else away


def install(faults: Faults, after_commit: Callable[[], None], patch: pytest.MonkeyPatch) -> None:
    """Have every step of the product pass by `faults`; `after_commit` is called once a commit has taken effect."""
    connection = connections["default"]
    commit, command, pipeline = connection._commit, Redis.execute_command, Pipeline.execute

    def in_transaction() -> bool:
        return connection.in_atomic_block or _is_open(connection)

    def statement(execute: Callable[..., Any], *given: Any) -> Any:
        if given[0].startswith("BEGIN"):  # MariaDB has no such statement, and Django none that ends what it begins
            return execute(*given)
        return faults.step(partial(execute, *given), _database_away(), in_transaction)

    def commit_and_look() -> None:
        commit()
        with faults.quiet():
            after_commit()

    def commit_as_a_step() -> None:
        try:
            faults.step(commit_and_look, _database_away(), lambda: True)
        except BaseException:
            connection.rollback()  # Django does so for the errors that it knows; a server does it for the dead
            raise

    def redis_step(call: Callable[..., Any], *given: Any, **options: Any) -> Any:
        if faults.redis_is_away:
            raise RedisAway("Connection refused.")
        away = RedisAway("Connection closed by server.")
        return faults.step(partial(call, *given, **options), away, in_transaction)

    patch.setattr(connection, "execute_wrappers", [*connection.execute_wrappers, statement])
    patch.setattr(connection, "_commit", commit_as_a_step)
    patch.setattr(
        Redis, "execute_command", lambda self, *given, **options: redis_step(partial(command, self), *given, **options)
    )
    patch.setattr(
        Pipeline, "execute", lambda self, *given, **options: redis_step(partial(pipeline, self), *given, **options)
    )


def _is_open(connection: BaseDatabaseWrapper) -> bool:
    """Whether the database has a transaction open, of which Django need not know."""
    if connection.connection is None or connection.vendor == "sqlite":
        return bool(connection.connection and connection.connection.in_transaction)
    with closing(connection.connection.cursor()) as cursor:
        cursor.execute("SELECT @@in_transaction")
        return bool(cursor.fetchone()[0])


def _database_away() -> OperationalError:
    return OperationalError(2013, "Lost connection to server during query")
