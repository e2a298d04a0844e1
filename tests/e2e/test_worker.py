"""A real worker and a real scheduler: what they run, and what happens when they are ended in every way."""

from __future__ import annotations

import os
import signal

from tests.e2e.conftest import LEASE_SECONDS, reread, wait_for_status
from tests.e2e.job_handlers import read
from tests.support.waiting import eventually


def test_tasks_of_both_kinds_complete_with_result_log_and_progress(start_worker, enqueue, journal):
    start_worker()

    plain = enqueue("slow", {"journal": str(journal), "word": "a", "seconds": 0.3})
    coroutine = enqueue("slow-async", {"journal": str(journal), "word": "b", "seconds": 0.1})

    done = wait_for_status(plain, "COMPLETED")
    assert (done.result, done.attempts, done.retries, done.lost_leases, done.error) == ("a", 1, 0, 0, "")
    assert done.started_at <= done.completed_at and done.lease_owner is None and 0 < done.progress <= 100
    assert [(line.message, line.level, line.attempt) for line in _log(done)] == [("a is done", "info", 1)]
    assert wait_for_status(coroutine, "COMPLETED").result == "b"
    assert sorted(read(journal)) == ["end a", "end b", "start a", "start b"]


def test_a_payload_that_does_not_fit_fails_without_retry_and_names_the_argument(start_worker, enqueue, journal):
    start_worker()

    failed = wait_for_status(enqueue("journal", {"journal": str(journal), "wrod": "x"}), "FAILED")

    assert failed.attempts == 1 and "'wrod'" in failed.error and "'word'" in failed.error
    assert read(journal) == []


def test_an_unknown_handler_waits_and_blocks_nobody_behind_it(start_worker, start_scheduler, enqueue, journal):
    unknown = enqueue("nobody-knows-it", {}, priority=100)
    start_scheduler()
    start_worker("--concurrency", "1")

    known = enqueue("journal", {"journal": str(journal), "word": "x"}, priority=-100)

    wait_for_status(known, "COMPLETED")
    assert reread(unknown).status == "QUEUED" and reread(unknown).attempts == 0


def test_a_failed_task_is_retried_until_it_completes(start_worker, start_scheduler, enqueue):
    start_scheduler()
    start_worker()

    done = wait_for_status(enqueue("fails-twice"), "COMPLETED")

    assert (done.result, done.attempts, done.retries) == (3, 3, 2)


def test_a_time_limit_ends_a_handler_that_never_would(start_worker, enqueue):
    start_worker()

    dead = wait_for_status(enqueue("spin", max_retries=0), "DEAD_LETTER")

    assert "TimeLimitExceeded" in dead.error and dead.attempts == 1


def test_a_handler_enqueues_in_its_own_team(start_worker, enqueue, journal):
    from tasks.models import Task

    start_worker()

    done = wait_for_status(enqueue("parent", {"journal": str(journal)}), "COMPLETED")

    child = wait_for_status(Task.objects.get(pk=done.result), "COMPLETED")
    assert child.team_id == done.team_id and child.result == f"child of {done.pk}"


def test_cancelling_a_running_task_stops_its_handler(start_worker, enqueue, journal):
    from dtq_site.foundation.database import database_clock
    from tasks import lifecycle

    start_worker()
    plain = enqueue("slow", {"journal": str(journal), "word": "a", "seconds": 60})
    coroutine = enqueue("slow-async", {"journal": str(journal), "word": "b", "seconds": 60})
    eventually(lambda: len(read(journal)) == 2)

    for task in (plain, coroutine):
        assert lifecycle.cancel(task.pk, database_clock.now()).status == "CANCELLED"

    eventually(lambda: all(reread(task).lease_expires_at is None for task in (plain, coroutine)), LEASE_SECONDS + 5)
    assert "cancelled b" in read(journal) and "end a" not in read(journal)
    assert {reread(task).status for task in (plain, coroutine)} == {"CANCELLED"}


def test_a_task_whose_process_was_killed_runs_again_in_its_replacement(start_worker, start_scheduler, enqueue, journal):
    start_scheduler()
    worker = start_worker()
    task = enqueue("slow", {"journal": str(journal), "word": "a", "seconds": 1.5})
    eventually(lambda: read(journal) == ["start a"])
    eventually(lambda: reread(task).begun)

    (child,) = worker.workers()
    os.kill(child, signal.SIGKILL)

    worker.wait_for("worker.died")
    done = wait_for_status(task, "COMPLETED")
    assert (done.attempts, done.lost_leases, done.retries, done.fencing_token) == (2, 1, 0, 2)
    assert read(journal) == ["start a", "start a", "end a"]


def test_a_task_that_kills_its_worker_every_time_ends_as_a_dead_letter(start_worker, start_scheduler, enqueue):
    start_scheduler()
    start_worker(RETRY_BACKOFF="100")

    dead = wait_for_status(enqueue("kills-its-worker", max_retries=100), "DEAD_LETTER", 60)

    assert "worker lost" in dead.error and dead.lost_leases == 4


def test_sigterm_lets_running_tasks_end_and_wastes_no_attempt(start_worker, enqueue, journal):
    worker = start_worker("--concurrency", "2")
    tasks = [enqueue("slow", {"journal": str(journal), "word": str(n), "seconds": 1.5}) for n in range(4)]
    eventually(lambda: len(read(journal)) == 2)

    code = worker.terminate()

    assert code == 0
    states = sorted((reread(task).status, reread(task).attempts, reread(task).lease_owner) for task in tasks)
    assert states == [("COMPLETED", 1, None)] * 2 + [("QUEUED", 0, None)] * 2
    assert worker.members() == []


def test_a_second_sigterm_ends_handlers_and_gives_their_tasks_back(start_worker, enqueue, journal):
    worker = start_worker()
    task = enqueue("deaf", {"journal": str(journal), "word": "a", "seconds": 60})
    eventually(lambda: read(journal) == ["start a"])

    worker.signal(signal.SIGTERM)
    worker.wait_for("worker.draining")
    code = worker.terminate(timeout_seconds=15)

    assert code == 4
    given_back = reread(task)
    assert (given_back.status, given_back.attempts, given_back.lease_owner) == ("QUEUED", 0, None)
    assert worker.members() == []


def test_killing_the_supervisor_ends_its_children_after_their_work(start_worker, enqueue, journal):
    worker = start_worker("--processes", "2")
    task = enqueue("slow", {"journal": str(journal), "word": "a", "seconds": 1})
    eventually(lambda: read(journal) == ["start a"])

    worker.kill()

    eventually(lambda: worker.members() == [], 20)
    assert reread(task).status == "COMPLETED"


def test_a_queue_can_be_chosen_and_paused(start_worker, enqueue, journal):
    from dtq_site.foundation.database import database_clock
    from tasks import queues

    queues.ensure(["mail", "open", "other"], database_clock.now())
    queues.pause("mail")
    start_worker("--queues", "mail,open")
    mail = enqueue("journal", {"journal": str(journal), "word": "mail"}, queue="mail")
    other = enqueue("journal", {"journal": str(journal), "word": "other"}, queue="other")
    for number in range(20):  # by the end of these the worker has asked for the others many times
        wait_for_status(enqueue("journal", {"journal": str(journal), "word": str(number)}, queue="open"), "COMPLETED")
    assert [reread(task).status for task in (mail, other)] == ["QUEUED", "QUEUED"]

    queues.resume("mail")

    wait_for_status(mail, "COMPLETED")
    assert reread(other).status == "QUEUED"


def test_short_tasks_do_not_wait_behind_a_long_one_while_another_worker_is_idle(start_worker, enqueue, journal):
    from accounts.registration import team_named
    from tasks import submission
    from tasks.domain.submission import Request

    write = {"journal": str(journal)}
    start_worker("--concurrency", "1", "--name", "first")
    for number in range(30):  # from these it learns that tasks are short, and claims ahead
        enqueue("journal", write | {"word": str(number)})
    eventually(lambda: len(read(journal)) == 30)
    start_worker("--concurrency", "1", "--name", "second")

    requests = [Request(name="deaf", payload=write | {"word": "long", "seconds": 4})]
    requests += [Request(name="journal", payload=write | {"word": f"short {number}"}) for number in range(10)]
    long, *short = submission.submit(requests, submission.Owner(team_named("default").pk, None))

    for task in short:
        assert wait_for_status(task, "COMPLETED", 3).attempts == 1
    assert reread(long).status == "PROCESSING"


def test_a_delayed_task_runs_when_it_is_due_and_never_early(start_worker, start_scheduler, enqueue, journal):
    start_scheduler()
    start_worker()

    task = enqueue("journal", {"journal": str(journal), "word": "later"}, delay_seconds=2)
    assert task.status == "PENDING"

    done = wait_for_status(task, "COMPLETED")
    late = (done.started_at - done.scheduled_at).total_seconds()
    assert 0 <= late < 2


def _log(task):
    from tasks.models import TaskLog

    return list(TaskLog.objects.filter(task_id=task.pk).order_by("fencing_token", "sequence"))
