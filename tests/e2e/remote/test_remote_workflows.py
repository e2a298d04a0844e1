"""What handlers of remote workers do with other tasks: wait for them, read what they returned, share locks with them."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.e2e.conftest import wait_for_status
from tests.e2e.job_handlers import read
from tests.e2e.remote.conftest import BARE, held_in
from tests.e2e.test_locks import overlaps
from tests.support.waiting import eventually

pytestmark = [pytest.mark.usefixtures("committed_db", "redis_server"), pytest.mark.timeout(240)]

HANDLERS = {"DTQ_HANDLERS": f"{BARE['DTQ_HANDLERS']},tests.e2e.workflow_handlers,tests.e2e.lock_handlers"}


def test_what_a_task_depends_on_has_come_with_its_claim_and_is_there_without_the_server(
    start_remote, proxy, enqueue, journal, store
):
    start_remote("--concurrency", "1", "--prefetch", "5", "--offline-for", "10m", **HANDLERS)
    first = enqueue("node", {"journal": str(journal), "word": "first"})
    wait_for_status(first, "COMPLETED")
    slow = enqueue("slow", {"journal": str(journal), "word": "slow", "seconds": 3})
    last = enqueue("node", {"journal": str(journal), "word": "last"}, depends_on=[str(first.pk)])
    eventually(lambda: held_in(store) == 2)

    with proxy.away():
        eventually(lambda: "end last" in read(journal), 30)

    assert wait_for_status(last, "COMPLETED").result == 2
    assert wait_for_status(slow, "COMPLETED").attempts == 1


@pytest.mark.parametrize("is_away", [False, True], ids=["online", "cut off"])
def test_a_chain_that_a_handler_creates_is_created_once_and_whole(start_remote, proxy, enqueue, journal, is_away):
    from tasks.models import Dependency, Task

    worker = start_remote("--offline-for", "10m", **HANDLERS)
    parent = enqueue("chains", {"journal": str(journal), "seconds": 2.0 if is_away else 0.0})
    if is_away:
        eventually(lambda: "start chains" in read(journal))
        with proxy.away():
            eventually(lambda: "end chains" in read(journal), 20)
    wait_for_status(parent, "COMPLETED")

    last = eventually(lambda: Task.objects.filter(name="node", payload__word="c", status="COMPLETED").first(), 40)
    assert last.result == 3
    assert Counter(Task.objects.filter(name="node").values_list("payload__word", "status")) == Counter(
        [("a", "COMPLETED"), ("b", "COMPLETED"), ("c", "COMPLETED")]
    )
    assert list(Dependency.objects.values_list("on_failure", flat=True)) == ["CANCEL", "RUN"]
    assert "creation.refused" not in worker.output


def test_handlers_of_remote_and_direct_workers_share_their_locks(start_remote, start_worker, enqueue, journal, store):
    start_remote("--concurrency", "4", **HANDLERS)
    start_remote("--concurrency", "4", store=store.with_name("other"), **HANDLERS)
    start_worker("--concurrency", "4", DTQ_HANDLERS="tests.e2e.lock_handlers")
    names = ["change-prices", "change-prices-async"] * 10

    tasks = [enqueue(name, {"journal": str(journal), "shop": "s"}) for name in names]

    for task in tasks:
        wait_for_status(task, "COMPLETED", 60)
    assert overlaps(read(journal)) == []
    assert len(read(journal)) == 40
