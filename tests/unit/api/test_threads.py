"""The threads on which requests are executed."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from dtq_site.api import threads
from dtq_site.api.threads import MAX_IDLE_SECONDS, RequestThreads


def run_all(pool: RequestThreads, *jobs: Any) -> list[Any]:
    async def together() -> list[Any]:
        return await asyncio.gather(*(pool.run(job) for job in jobs))

    return asyncio.run(together())


def test_jobs_run_on_as_many_threads_as_asked_for_and_no_more():
    pool = RequestThreads(2)
    meeting = threading.Barrier(2, timeout=5)

    def job() -> str:
        meeting.wait()
        return threading.current_thread().name

    assert len(set(run_all(pool, job, job, job, job))) == 2


def test_an_error_of_a_job_reaches_the_caller_and_leaves_the_thread_usable():
    pool = RequestThreads(1)

    with pytest.raises(ZeroDivisionError):
        run_all(pool, lambda: 1 // 0)

    assert run_all(pool, lambda: 1) == [1]


def test_connections_are_looked_after_before_each_job_and_given_up_after_a_long_rest(monkeypatch: pytest.MonkeyPatch):
    clock, done = [0.0], []
    monkeypatch.setattr(threads, "elapsed_clock", lambda: clock[0])
    monkeypatch.setattr(threads, "close_broken_connections", lambda suspects_all: done.append("checked"))
    monkeypatch.setattr(threads.connections, "close_all", lambda: done.append("closed"))
    pool = RequestThreads(1)

    for moment in (0.0, MAX_IDLE_SECONDS, 2 * MAX_IDLE_SECONDS + 0.1):
        clock[0] = moment
        run_all(pool, lambda: done.append("job"))

    assert done == ["checked", "job", "checked", "job", "closed", "job"]


def test_after_a_failure_on_one_thread_each_other_one_tries_its_connections_once(monkeypatch: pytest.MonkeyPatch):
    suspected, fails = [], threading.Event()
    monkeypatch.setattr(threads, "close_broken_connections", lambda suspects_all: suspected.append(suspects_all))
    monkeypatch.setattr(threads, "has_failed_connections", fails.is_set)
    pool = RequestThreads(2)
    meeting = threading.Barrier(2, timeout=5)

    run_all(pool, meeting.wait, meeting.wait)
    run_all(pool, meeting.wait, meeting.wait)
    fails.set()
    run_all(pool, lambda: None)
    fails.clear()
    suspected.clear()

    run_all(pool, meeting.wait, meeting.wait)
    run_all(pool, meeting.wait, meeting.wait)

    assert suspected == [True, True, False, False]
