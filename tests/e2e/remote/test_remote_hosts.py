"""Hosts of remote workers that are not as they should be: a disk that is full, a clock that is wrong."""

from __future__ import annotations

import subprocess
import time
from datetime import timedelta
from pathlib import Path

import pytest

from tests.e2e.conftest import reread, wait_for_status
from tests.e2e.remote.conftest import BARE
from tests.support.waiting import eventually

pytestmark = [pytest.mark.usefixtures("committed_db", "redis_server"), pytest.mark.timeout(240)]

OWN_MOUNTS = ["unshare", "--user", "--map-root-user", "--mount"]


@pytest.fixture
def on_small_disk(store: Path) -> list[str]:
    """What runs a worker whose store is a disk of a megabyte, which goes with the worker."""
    if subprocess.run([*OWN_MOUNTS, "true"], capture_output=True).returncode:
        pytest.skip("this needs the right to make name spaces of users and mounts")
    store.mkdir()
    return [*OWN_MOUNTS, "sh", "-c", f'mount -t tmpfs -o size=1m disk "{store}" && exec "$@"', "sh"]


def fill(path: Path) -> None:
    """Write until there is no room at all."""
    with pytest.raises(OSError, match="No space"):
        _write_for_ever(path)


def _write_for_ever(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(512))


def test_on_a_disk_without_any_room_nothing_runs_and_when_there_is_room_again_all_of_it_does(
    start_remote, on_small_disk, enqueue, store
):
    worker = start_remote("--concurrency", "2", "--offline-for", "10m", within=on_small_disk)
    disk = Path(f"/proc/{worker.pid}/root{store}")
    wait_for_status(enqueue("square", {"number": 3}), "COMPLETED")

    fill(disk / "ballast")
    tasks = [enqueue("weigh", {"ballast": "x" * 20_000}) for _ in range(5)]
    worker.wait_for("journal.(full|unusable)")
    time.sleep(2)
    assert {reread(task).status for task in tasks} <= {"QUEUED", "PROCESSING"}
    (disk / "ballast").unlink()

    for task in tasks:
        done = wait_for_status(task, "COMPLETED", 60)
        assert (done.result, done.attempts, done.lost_leases) == (20_000, 1, 0)
    assert worker.terminate() == 0


@pytest.mark.long
def test_on_a_disk_that_fills_up_more_is_held_than_fits_and_nothing_is_lost(start_remote, on_small_disk, enqueue):
    tasks = [enqueue("weigh", {"ballast": "x" * 200_000}) for _ in range(10)]  # all of them there for the first claim
    worker = start_remote("--concurrency", "1", "--prefetch", "100", "--offline-for", "10m", within=on_small_disk)

    worker.wait_for("journal.full")

    for task in tasks:
        assert wait_for_status(task, "COMPLETED", 90).result == 200_000
    assert sum(reread(task).lost_leases for task in tasks) == 0


@pytest.mark.long
@pytest.mark.parametrize(("minutes", "is_away"), [(10, False), (10, True), (-10, True)])
def test_a_worker_whose_clock_is_ten_minutes_off_is_early_or_late_with_nothing(
    start_remote, proxy, enqueue, slow, journal, minutes, is_away
):
    from tasks.models import Task

    off = {"DTQ_HANDLERS": f"{BARE['DTQ_HANDLERS']},tests.e2e.clock_handlers", "CLOCK_OFF": str(minutes * 60)}
    worker = start_remote("--concurrency", "2", "--offline-for", "1m", **off)
    parent = enqueue("late-child", {"seconds": 2.0 if is_away else 0.0, "delay": 4.0})
    beside = slow("beside", 3)
    eventually(lambda: reread(parent).status != "QUEUED" and reread(beside).status != "QUEUED")
    if is_away:
        with proxy.away():
            time.sleep(5)

    done = wait_for_status(parent, "COMPLETED", 30)
    assert (done.result, done.attempts) == (minutes * 60, 1)
    assert wait_for_status(beside, "COMPLETED", 30).attempts == 1
    child = eventually(lambda: Task.objects.filter(name="square").first(), 30)
    asked_for = done.started_at + timedelta(seconds=2.0 if is_away else 0.0)
    assert asked_for <= child.scheduled_at <= asked_for + timedelta(minutes=1)
    assert "lease.lost" not in worker.output
