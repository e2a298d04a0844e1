"""What a remote worker holds and wants created, on its disk: it survives, in order, until it is let go."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import pytest

from tasks.domain.lease import LeasedTask
from tasks.handling.port import EnqueueRequest
from tests.unit.workers.making import in_a_process_that_is_killed, lease, open_store, outcome
from workers.offline import files
from workers.offline import store as stores
from workers.offline.errors import StoreDamaged, StoreFull
from workers.offline.rows import AskedClaim, ClaimedRow, Creation
from workers.offline.store import VERSION, Store

SENT = (1.5, 2.5, 3.5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox-0.sqlite3"


def leased(number: int) -> LeasedTask:
    return LeasedTask(lease(number), "job", {"n": [number, "ü"]}, 2, 60.0, 15.0, True, UUID(int=9), "lock", 77)


def creation(key: str, parent: int | None = None, call: str = "") -> Creation:
    at = datetime(2030, 1, 1, 12, tzinfo=UTC)
    request = EnqueueRequest("job", {"a": 1}, priority="HIGH", scheduled_at=at, idempotency_key=key)
    return Creation(request, at, None if parent is None else lease(parent), call)


def test_claimed_tasks_survive_kill_9_as_they_were_with_what_was_noted_of_them(path):
    def hold_and_note() -> None:
        store = open_store(path)
        store.hold([leased(3), leased(1), leased(2)], SENT)
        store.begin([lease(1)])
        store.extend({lease(2): (3600.0, (4.0, 5.0, 6.0))})
        store.let_go([lease(3)])

    in_a_process_that_is_killed(hold_and_note)

    assert open_store(path).claimed() == [
        ClaimedRow(leased(1), True, SENT),
        ClaimedRow(replace(leased(2), lease_seconds=3600.0), False, (4.0, 5.0, 6.0)),
    ]


def test_a_task_that_is_held_already_stays_as_it_was(path):
    store = open_store(path)
    store.hold([leased(1)], SENT)
    store.begin([lease(1)])

    store.hold([leased(1)], (9.0, 9.0, 9.0))

    assert store.claimed() == [ClaimedRow(leased(1), True, SENT)]


def test_tasks_to_be_created_are_kept_once_a_key_in_order(path):
    store = open_store(path)
    store.request([creation("b", parent=4), creation("a")])

    store.request([creation("b"), creation("c")])
    store.forget_creations([creation("a")])

    assert store.creations(10) == [creation("b", parent=4), creation("c")]


def test_of_tasks_that_are_created_together_all_are_read_if_one_is(path):
    store = open_store(path)
    together = [creation(key, call="one") for key in "bcd"]
    store.request([creation("a"), *together, creation("e")])

    assert store.creations(1) == [creation("a")]
    assert store.creations(2) == store.creations(4) == [creation("a"), *together]
    assert store.creations(5) == [creation("a"), *together, creation("e")]


def test_the_next_claim_is_noted_with_what_the_one_before_it_has_won(path):
    store = open_store(path)
    first, second = (AskedClaim(UUID(int=7), UUID(int=number)) for number in (1, 2))
    store.ask(first)
    assert store.asked() == first

    store.hold([leased(1)], SENT, second)
    assert store.asked() == second

    store.ask(None)
    assert store.asked() is None


def test_a_file_is_empty_only_when_nothing_of_any_kind_is_kept(path):
    store = open_store(path)
    assert store.is_empty
    for keep, forget in (
        (lambda: store.keep([outcome(1)], []), lambda: store.forget_outcomes([lease(1)])),
        (lambda: store.hold([leased(1)], SENT), lambda: store.let_go([lease(1)])),
        (lambda: store.keep([], [], {lease(1): 5}), lambda: store.forget_progress([lease(1)])),
        (lambda: store.ask(AskedClaim(UUID(int=7), UUID(int=1))), lambda: store.ask(None)),
        (lambda: store.request([creation("a")]), lambda: store.forget_creations([creation("a")])),
    ):
        keep()
        assert not store.is_empty
        forget()
        assert store.is_empty


def test_a_file_of_the_first_version_is_brought_up_to_date_with_what_it_keeps(path, monkeypatch):
    with monkeypatch.context() as earlier:
        earlier.setattr(files, "_SCHEMAS", files._SCHEMAS[:1])
        for module in (files, stores):
            earlier.setattr(module, "VERSION", 1)
        Store(path, 2**20).close()
    with sqlite3.connect(path) as first:
        assert first.execute("PRAGMA user_version").fetchone() == (1,)
        row = (str(lease(1).task_id), 1, str(lease(1).claim_id), "COMPLETED", 0.25, '"done"', "", None)
        first.execute("INSERT INTO outcome VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    first.close()

    store = open_store(path)

    assert store._value("PRAGMA user_version") == VERSION
    assert store.outcomes(10) == [outcome(1)]
    store.hold([leased(2)], SENT)
    assert [row.task for row in store.claimed()] == [leased(2)]


def test_the_log_beside_the_file_stays_small_however_much_comes_and_goes(path):
    store = open_store(path)
    for _ in range(100):
        store.hold([replace(leased(1), payload={"ballast": "x" * 40_000})], SENT)
        store.let_go([lease(1)])

    assert path.with_name(f"{path.name}-wal").stat().st_size < 500_000


def test_what_would_take_the_last_room_of_the_disk_is_refused_and_what_has_room_in_the_file_is_not(path, monkeypatch):
    large = replace(leased(1), payload={"ballast": "x" * 300_000})
    store = open_store(path)
    store.hold([large], SENT)
    nearly_full = SimpleNamespace(free=stores.RESERVE_BYTES + 400_000)
    monkeypatch.setattr(stores.shutil, "disk_usage", lambda _: nearly_full)

    with pytest.raises(StoreFull):
        store.hold([replace(large, lease=lease(2))], SENT)
    assert [row.task.lease for row in store.claimed()] == [lease(1)]
    store.let_go([lease(1)])
    store.hold([replace(large, lease=lease(3))], SENT)
    assert [row.task.lease for row in store.claimed()] == [lease(3)]


def test_a_claimed_task_that_cannot_be_read_is_damage(path):
    store = open_store(path)
    store.hold([leased(1)], SENT)
    store._connection.execute("UPDATE claimed SET task = '{}'")

    with pytest.raises(StoreDamaged):
        store.claimed()
