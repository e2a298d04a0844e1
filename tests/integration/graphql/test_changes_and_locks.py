"""What operators do stands or falls with its entry in the audit log, and is done again when the database let it lose a lock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from accounts import audit, worker_tokens
from accounts.identity import Identity
from accounts.models import AuditEntry, User, WorkerToken
from accounts.roles import Role
from dtq_site.foundation.errors import BadInput
from tasks.domain.outcome import OutcomeKind
from tasks.models import Queue, Task
from tests.integration.graphql.making import data, finish, make_identity, make_task, refusal

pytestmark = pytest.mark.usefixtures("committed_db")

PAUSE = 'mutation { pauseQueue(name: "mail") { paused } }'
RESUME = 'mutation { resumeQueue(name: "mail") { paused } }'
UPDATE = 'mutation { updateQueue(name: "mail", input: {weight: 7}) { weight } }'
DELETE = "mutation ($id: ID!) { deleteTask(id: $id) }"
CANCEL = "mutation ($id: ID!) { cancelTask(id: $id) { status } }"
RETRY = "mutation ($id: ID!) { retryTask(id: $id) { status } }"
REVOKE = "mutation ($id: ID!) { revokeWorkerToken(id: $id) { id } }"
ROTATE = "mutation ($id: ID!) { rotateWorkerToken(id: $id, overlapSeconds: 0) { token { id } } }"


def make_token() -> WorkerToken:
    account = User.objects.get(id=make_identity(Role.WORKER).user_id)
    return worker_tokens.issue(account, name="laptop").token


CHANGES: dict[str, tuple[Callable[[], Any], str, str]] = {
    "pause": (lambda: make_task(queue="mail"), PAUSE, "queue.paused"),
    "resume": (lambda: make_task(queue="mail"), RESUME, "queue.resumed"),
    "update": (lambda: make_task(queue="mail"), UPDATE, "queue.changed"),
    "delete": (lambda: finish(make_task(queue="mail")), DELETE, "task.deleted"),
    "cancel": (lambda: make_task(queue="mail"), CANCEL, "task.cancelled"),
    "retry": (lambda: finish(make_task(queue="mail"), OutcomeKind.DISCARDED, error="No use."), RETRY, "task.retried"),
    "revoke": (make_token, REVOKE, "worker_token.revoked"),
    "rotate": (make_token, ROTATE, "worker_token.issued"),
}


def everything() -> list[list[tuple[Any, ...]]]:
    return [list(model.objects.order_by("pk").values_list()) for model in (Queue, Task, WorkerToken, AuditEntry)]


@pytest.fixture
def boss() -> Identity:
    """An admin, whose making is committed."""
    return make_identity(Role.ADMIN, "office")


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_whose_entry_cannot_be_written_is_not_made(name: str, boss: Identity, monkeypatch: pytest.MonkeyPatch):
    make, query, _ = CHANGES[name]
    thing = make()
    before = everything()

    def refuse(*_: object) -> None:
        raise BadInput("The log is full.")

    monkeypatch.setattr(audit, "record", refuse)

    assert refusal(query, boss, **({"id": str(thing.pk)} if "$id" in query else {}))[0] == "BAD_USER_INPUT"
    assert everything() == before


def blocked_by(table: str, column: str, value: Any, action: Callable[[], Any]) -> Any:
    """What `action` returns, which another transaction keeps from that row for longer than it waits for a lock."""
    held, in_vain = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SELECT 1 FROM {table} WHERE {column} = %s FOR UPDATE", [value])
            held.set()
            assert in_vain.wait(20)
        connection.close()

    with ThreadPoolExecutor(1) as pool:
        holder = pool.submit(hold)
        assert held.wait(10)
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION innodb_lock_wait_timeout = 1")

        failures: list[int] = []

        def watch(execute: Any, sql: str, *arguments: Any) -> Any:
            try:
                return execute(sql, *arguments)
            except OperationalError as error:
                failures.append(error.args[0])
                in_vain.set()
                raise

        with connection.execute_wrapper(watch):
            answer = action()
        holder.result()
    assert failures == [1205]
    return answer


@pytest.mark.skipif("connection.vendor != 'mysql'")
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_waited_for_a_lock_in_vain_is_made_again_and_told_once(name: str, boss: Identity):
    make, query, action = CHANGES[name]
    thing = make()
    told = AuditEntry.objects.filter(action=action).count()
    queue_is_meant = "$id" not in query
    row = ("tasks_queue", "name", "mail") if queue_is_meant else (thing._meta.db_table, "id", str(thing.pk))

    answer = blocked_by(*row, lambda: data(query, boss, **({} if queue_is_meant else {"id": str(thing.pk)})))

    assert answer
    assert AuditEntry.objects.filter(action=action).count() == told + 1
