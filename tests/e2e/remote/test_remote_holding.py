"""What becomes of the tasks of a worker that is cut off for longer than its lease, or killed before it heard of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dtq_site.foundation.database import database_clock
from tests.e2e.conftest import reread, wait_for_status
from tests.e2e.job_handlers import read
from tests.e2e.remote.conftest import completed_once, kill_all
from tests.support.waiting import eventually

pytestmark = [pytest.mark.usefixtures("committed_db", "redis_server"), pytest.mark.timeout(240)]


def lease_ended(task: Any) -> bool:
    return bool(reread(task).lease_expires_at + timedelta(seconds=3) < database_clock.now())


@pytest.mark.long
def test_a_task_that_is_held_waits_for_its_worker_and_one_that_an_operator_reassigns_does_not(
    start_remote, start_worker, start_scheduler, proxy, enqueue, journal
):
    from tasks import lifecycle
    from tasks.models import TaskAttempt

    def held(word: str) -> Any:
        return enqueue("slow", {"journal": str(journal), "word": word, "seconds": 2}, when_lost="hold")

    start_scheduler()
    start_remote("--offline-for", "15s", "--concurrency", "2")
    kept, given = held("kept"), held("given")
    eventually(lambda: sorted(read(journal))[-2:] == ["start given", "start kept"])

    proxy.cut()
    start_worker()
    eventually(lambda: lease_ended(kept) and lease_ended(given), 40)
    assert [reread(task).status for task in (kept, given)] == ["PROCESSING", "PROCESSING"]
    lifecycle.reassign(given.pk, database_clock.now())
    eventually(lambda: read(journal).count("start given") == 2, 30)
    proxy.restore()

    done = wait_for_status(kept, "COMPLETED", 60)
    assert (done.result, done.attempts, done.lost_leases, done.fencing_token) == ("kept", 1, 0, 1)
    other = wait_for_status(given, "COMPLETED", 60)
    assert (other.result, other.fencing_token, other.lost_leases) == ("given", 2, 1)
    eventually(lambda: TaskAttempt.objects.filter(task_id=given.pk, ending="refused").exists(), 30)


def test_what_a_killed_worker_had_won_and_never_heard_of_is_given_back_by_its_successor_at_once(
    start_remote, proxy, slow, journal
):
    proxy.cut_reply(b"ClaimTasks", b'"slow"', then_away=True)
    first = start_remote("--offline-for", "10m", "--prefetch", "5")
    tasks = [slow(f"t{number}", 0.1) for number in range(3)]
    eventually(lambda: proxy.replies_cut == 1, 60)
    won = [task for task in tasks if reread(task).status == "PROCESSING"]
    kill_all(first)

    proxy.restore()
    second = start_remote("--offline-for", "10m")

    assert won and read(journal) == []
    completed_once(tasks, journal)  # no scheduler takes anything back when a lease has ended
    assert {reread(task).fencing_token for task in won} == {2}
    assert second.terminate() == 0
