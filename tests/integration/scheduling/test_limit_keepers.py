"""The duties that see to limits."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from scheduling.duties import limit_keepers
from scheduling.duties.limit_keepers import CapKeeper, RateKeeper
from tasks import lifecycle, limits, queues
from tasks import tokens as token_module
from tasks.domain.states import TaskStatus
from tasks.lifecycle import limiting
from tasks.models import LimitWaiter, Task
from tasks.tokens import Tokens
from tests.integration.scheduling.performing import make_duty
from tests.integration.tasks.attempts import state
from tests.integration.tasks.limiting import READY, WAITING
from tests.support.factories import (
    START,
    after,
    claim,
    completed,
    create,
    lease_of,
    reread,
    settle,
)


@pytest.fixture(autouse=True)
def tokens_in_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have buckets go by the time that the tests pass in."""
    monkeypatch.setattr(token_module.Tokens, "_ask", lambda self, wanted, now_us: None if wanted else {})
    assert Tokens._ask


@pytest.fixture(autouse=True)
def elapsed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The machine's clock, which stands still but for what a test adds."""
    reading = [0.0]
    monkeypatch.setattr(limit_keepers, "elapsed_clock", lambda: reading[0])
    return reading


def limit(queue: str = "default", **changes: Any) -> None:
    queues.ensure([queue], START)
    queues.configure(queue, changes)
    limits.forget_known()


def running_and_waiting(queue: str = "default") -> tuple[Task, Task]:
    """A task that runs, and one that waits for its queue's limit."""
    limit(queue, concurrency_limit=1)
    running, waiting = create(queue=queue), create(queue=queue)
    claim([running, waiting])
    return reread(running), waiting


def test_the_keeper_of_caps_finds_the_place_of_a_cancelled_task_whose_worker_is_silent():
    running, waiting = running_and_waiting()
    lifecycle.cancel(running.pk, after(1))
    duty, heard = make_duty(CapKeeper)

    assert duty.perform(after(14)) == 1.0
    before = state(waiting)
    duty.perform(after(15))

    assert (before, state(waiting)) == (WAITING, READY)
    assert [(event.name, event.facts) for event in heard.events] == [("caps.relieved", {"woken": 1})]


def test_the_keeper_of_caps_leaves_alone_what_is_full():
    _, waiting = running_and_waiting()
    duty, heard = make_duty(CapKeeper)

    duty.perform(after(600))

    assert (state(waiting), heard.events) == (WAITING, [])


def test_while_the_one_that_was_woken_sits_in_a_paused_queue_the_next_has_its_chance():
    limits.configure_handler("job", {"concurrency_limit": 1})
    (running,) = claim([create()])
    first, second = create(queue="paused"), create(queue="paused")
    claim([first, second])
    queues.pause("paused")
    settle(completed(lease_of(running)), now=after(1))
    queues.resume("paused")
    duty, _ = make_duty(CapKeeper)
    assert (state(first), state(second)) == (READY, WAITING)

    duty.perform(after(2))

    assert (state(second), len(claim([second], after(3)))) == (READY, 1)


def test_the_keeper_comes_to_every_cap_though_it_looks_at_a_page_at_a_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limit_keepers, "PAGE", 2)
    waiting = [running_and_waiting(name)[1] for name in "abcde"]
    for name in "abcde":
        limit(name, concurrency_limit=2)
    duty, heard = make_duty(CapKeeper)

    for _ in range(3):
        duty.perform(after(1))

    assert [state(task) for task in waiting] == [READY] * 5
    assert [event.facts["woken"] for event in heard.events] == [2, 2, 1]


def test_the_keeper_of_rates_sleeps_until_the_next_token(settings: Any):
    limit(rate_limit="20/s", burst=1)
    tasks = [create() for _ in range(3)]
    claim(tasks)
    duty, heard = make_duty(RateKeeper)

    assert duty.perform(after(0.02)) == pytest.approx(0.03)
    assert heard.events == []
    assert duty.perform(after(0.05)) == pytest.approx(0.05)
    assert [state(task) for task in tasks[1:]] == [READY, WAITING]
    assert duty.perform(after(0.06)) == pytest.approx(0.04)
    assert state(tasks[2]) == WAITING


def test_the_keeper_of_rates_looks_at_its_period_while_nobody_waits():
    duty, heard = make_duty(RateKeeper)

    assert (duty.perform(START), heard.events) == (pytest.approx(0.1), [])


@pytest.mark.parametrize("kind", [CapKeeper, RateKeeper])
def test_of_those_that_lifted_limits_let_go_on_a_bounded_number_does_in_one_transaction(
    kind: Any, monkeypatch: pytest.MonkeyPatch
):
    for module in (lifecycle, limiting):
        monkeypatch.setattr(module, "MOST_WOKEN", 3)
    said = {"concurrency_limit": 1} if kind is CapKeeper else {"rate_limit": "1/d", "burst": 1}
    for queue in ("a", "b"):
        limit(queue, **said)
        claim([create(queue=queue) for _ in range(5)])
        limit(queue, **dict.fromkeys(said))
    duty, heard = make_duty(kind)

    rests = [duty.perform(after(1)) for _ in range(3)]

    assert rests == [0.0, 0.0, duty.period_seconds]
    assert [event.facts["woken"] for event in heard.events] == [3, 3, 2]
    assert Task.objects.filter(status=TaskStatus.QUEUED).count() == 8


def test_whose_line_is_next_is_found_without_reading_the_whole_line():
    limits.configure_handler("job", {"concurrency_limit": 1})
    (running,) = claim([create()])
    for queue in ("default", "mail"):
        claim([create(queue=queue) for _ in range(20)])
    held = lease_of(running)

    with CaptureQueriesContext(connection) as seen:
        settle(completed(held), now=after(1))

    reads = [query["sql"] for query in seen if LimitWaiter._meta.db_table in query["sql"]]
    assert Task.objects.filter(status=TaskStatus.QUEUED).count() == 2
    assert [sql for sql in reads if sql.startswith("SELECT") and "LIMIT 1" not in sql] == []


def test_each_keeper_minds_its_own_lines():
    limit(rate_limit="1/d", burst=1)
    limited = [create() for _ in range(2)]
    claim(limited)
    _, capped = running_and_waiting("mail")
    limit("mail", concurrency_limit=2)
    caps, _ = make_duty(CapKeeper)
    rates, _ = make_duty(RateKeeper)

    rates.perform(after(1))
    assert (state(limited[1]), state(capped)) == (WAITING, WAITING)
    caps.perform(after(1))
    assert (state(limited[1]), state(capped)) == (WAITING, READY)


def test_the_keeper_of_caps_wakes_who_waits_for_a_limit_and_stands_in_no_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limit_keepers, "PAGE", 2)
    limit(concurrency_limit=1)
    tasks = [create() for _ in range(6)]
    claim(tasks, after(1))
    strays = tasks[3:5]
    LimitWaiter.objects.filter(task_id__in=[task.pk for task in strays]).delete()
    duty, heard = make_duty(CapKeeper)

    for _ in range(3):
        duty.perform(after(2))

    assert [state(task) for task in tasks[1:]] == [WAITING, WAITING, READY, READY, WAITING]
    assert sum(event.facts["woken"] for event in heard.named("limits.strays_woken")) == 2


def test_the_keeper_of_rates_rests_after_its_last_page_by_the_least_of_all_and_less_what_its_rounds_took(
    elapsed: list[float], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limit_keepers, "PAGE", 1)
    for queue, rate in (("a", "20/s"), ("b", "1/d")):
        limit(queue, rate_limit=rate, burst=1)
        claim([create(queue=queue) for _ in range(2)])
    duty, _ = make_duty(RateKeeper)
    spend = lifecycle.spend_tokens

    def spend_slowly(*given: Any) -> Any:
        elapsed[0] += 0.004
        return spend(*given)

    monkeypatch.setattr(lifecycle, "spend_tokens", spend_slowly)

    rests = [duty.perform(after(0.02)) for _ in range(3)]

    assert rests == [0.0, 0.0, pytest.approx(0.03 - 0.008)]
