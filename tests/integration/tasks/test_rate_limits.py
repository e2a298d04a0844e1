"""Rates in the life of tasks: who starts, who waits, and when it goes on."""

from __future__ import annotations

import pytest
from django.db import OperationalError

from tasks import lifecycle, limit_line, limits
from tasks import tokens as token_module
from tasks.domain.limits import Kind, Limit, Scope
from tasks.domain.rates import read_rate
from tasks.handling import registry
from tasks.lifecycle import holding, limiting
from tasks.models import LimitWaiter, Task
from tasks.tokens import Tokens, microseconds
from tests.integration.tasks.attempts import state
from tests.integration.tasks.limiting import READY, RUNNING, WAITING, limit_queue
from tests.support.factories import (
    START,
    after,
    claim,
    completed,
    create,
    failed,
    lease_of,
    new_task,
    reread,
    settle,
)

OF_QUEUE = Limit(Kind.RATE, Scope.QUEUE, "default")
OF_HANDLER = Limit(Kind.RATE, Scope.HANDLER, "job")


@pytest.fixture(autouse=True, params=["redis", "rows"])
def clock_of_tokens(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have buckets go by the time that the tests pass in, in Redis or in rows."""
    ask = Tokens._ask

    def ask_at(self: Tokens, wanted, now_us):
        return None if request.param == "rows" else ask(self, wanted, now_us)

    def take(self: Tokens, wanted, now, *, now_us=0):
        return taking(self, wanted, now, now_us=microseconds(now))

    def look(self: Tokens, asked, now):
        if (found := self._ask({limit: (rate, 0) for limit, rate in asked.items()}, microseconds(now))) is not None:
            return found
        return looking(self, asked, now)

    taking, looking = Tokens.take, Tokens.look
    monkeypatch.setattr(token_module.Tokens, "_ask", ask_at)
    monkeypatch.setattr(token_module.Tokens, "take", take)
    monkeypatch.setattr(token_module.Tokens, "look", look)


def spend(now, *limits_: Limit, planned: dict | None = None) -> tuple[int, float | None]:
    return lifecycle.spend_tokens(limits_ or [OF_QUEUE], {} if planned is None else planned, now)


def test_no_more_start_at_once_than_the_burst_and_the_others_wait():
    limit_queue("10/s", 2)
    tasks = [create() for _ in range(4)]

    won = claim(tasks)

    assert [task.pk for task in won] == [tasks[0].pk, tasks[1].pk]
    assert [state(task) for task in tasks] == [RUNNING, RUNNING, WAITING, WAITING]
    assert [task.capped for task in won] == [False, False]


def test_whoever_waits_is_woken_when_there_is_a_token_and_not_before():
    limit_queue("10/s", 2)
    tasks = [create() for _ in range(5)]
    claim(tasks)
    planned: dict[Limit, lifecycle.Plan] = {}

    assert spend(after(0.05), planned=planned) == (0, pytest.approx(0.05))
    assert spend(after(0.1), planned=planned) == (1, pytest.approx(0.1))
    assert spend(after(0.1), planned=planned) == (0, pytest.approx(0.1))
    assert [state(task) for task in tasks[2:]] == [READY, WAITING, WAITING]
    assert [task.pk for task in claim(tasks, after(0.11))] == [tasks[2].pk]
    assert spend(after(0.3), planned=planned)[0] == 2
    assert [task.pk for task in claim(tasks, after(0.3))] == [tasks[3].pk, tasks[4].pk]


def test_tasks_that_were_woken_and_come_late_start_no_more_at_once_than_the_burst():
    limit_queue("10/s", 2)
    tasks = [create() for _ in range(12)]
    claim(tasks)
    planned: dict[Limit, lifecycle.Plan] = {}
    for step in range(1, 11):
        assert spend(after(step / 10), planned=planned)[0] == 1

    won = claim(tasks, after(60))

    assert len(won) == 2
    assert [state(task) for task in tasks[4:]] == [WAITING] * 8


def test_a_failed_attempt_that_is_tried_again_takes_a_token_again():
    limit_queue("1/m", 1)
    (task,) = claim([create()])
    settle(failed(lease_of(task)), now=after(1))
    lifecycle.promote(after(10))

    assert claim([task], after(10)) == []
    assert state(task) == WAITING


def test_a_task_that_is_given_back_unstarted_gives_its_token_back():
    limit_queue("1/d", 2)
    tasks = [create() for _ in range(3)]
    first, second = claim(tasks[:2])

    lifecycle.release([lease_of(second)], after(1))

    assert [task.pk for task in claim(tasks, after(1))] == [second.pk]
    assert state(first) == RUNNING
    assert state(tasks[2]) == WAITING


def test_a_release_that_is_repeated_gives_tokens_back_once(monkeypatch: pytest.MonkeyPatch):
    limit_queue("1/d", 3)
    tasks = [create() for _ in range(5)]
    won = claim(tasks[:3])
    follow = holding.follow

    def lose(moved: list[Task]) -> None:
        monkeypatch.setattr(holding, "follow", follow)
        raise OperationalError(1213, "Deadlock found when trying to get lock; try restarting transaction")

    monkeypatch.setattr(holding, "follow", lose)

    assert lifecycle.release([lease_of(won[2])], after(1)) == 1
    assert [task.pk for task in claim(tasks[2:], after(2))] == [tasks[2].pk]


def test_a_token_is_not_spent_on_a_task_that_lacks_something_else():
    limit_queue("1/m", 3, cap=1)
    tasks = [create() for _ in range(3)]

    claim(tasks)

    assert list(LimitWaiter.objects.values_list("limit", flat=True)) == ["cap/queue/default"] * 2
    settle(completed(lease_of(reread(tasks[0]))), now=after(1))
    assert [task.pk for task in claim(tasks, after(1))] == [tasks[1].pk]
    settle(completed(lease_of(reread(tasks[1]))), now=after(2))
    assert [task.pk for task in claim(tasks, after(2))] == [tasks[2].pk]


def test_a_token_that_was_taken_is_given_back_if_another_rate_has_none():
    limit_queue("1/m", 2)
    limits.configure_handler("job", {"rate_limit": "1/m"})
    tasks = [create() for _ in range(3)]

    assert [task.pk for task in claim(tasks[:2])] == [tasks[0].pk]

    limits.configure_handler("job", {"rate_limit": "none"})
    assert [task.pk for task in claim(tasks[2:], after(1))] == [tasks[2].pk]


def test_a_place_is_not_taken_by_a_task_that_has_no_token():
    limit_queue("1/m", 1, cap=5)
    limits.configure_handler("other", {"rate_limit": "none"})
    tasks = [create() for _ in range(3)]

    won = claim(tasks)

    assert [task.pk for task in won] == [tasks[0].pk]
    assert set(LimitWaiter.objects.values_list("limit", flat=True)) == {str(OF_QUEUE)}
    assert Task.objects.filter(capped=True).count() == 1


def test_the_rate_of_a_handler_is_one_for_all_queues(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(registry, "_handlers", {})

    @registry.task("job", rate="1/s", burst=2)
    def job() -> None: ...

    first, second, third = create(), create(queue="mail"), create(queue="art")
    other = create(name="other", queue="art")

    assert [task.pk for each in ([first], [second]) for task in claim(each)] == [first.pk, second.pk]
    assert [task.pk for task in claim([third, other])] == [other.pk]
    assert state(third) == WAITING
    assert spend(after(1), OF_HANDLER)[0] == 1
    assert [task.pk for task in claim([third], after(1))] == [third.pk]


def test_for_each_key_a_rate_counts_apart(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(registry, "_handlers", {})

    @registry.task("job", rate="1/s", per="{account}")
    def job(account: str) -> None: ...

    ann, bob = [create(limit_key="ann") for _ in range(2)], create(limit_key="bob")

    assert {task.pk for task in claim([*ann, bob])} == {ann[0].pk, bob.pk}
    assert state(ann[1]) == WAITING


def test_an_operators_rate_goes_before_the_declared_one_and_takes_its_burst_with_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(registry, "_handlers", {})

    @registry.task("job", rate="1/d", burst=3)
    def job() -> None: ...

    assert limits.of_handler("job").rate == read_rate("1/d", 3)
    limits.configure_handler("job", {"burst": 7})
    limits.refresh()
    assert limits.of_handler("job").rate == read_rate("1/d", 7)
    limits.configure_handler("job", {"burst": None, "rate_limit": "50/s"})
    limits.refresh()
    assert limits.of_handler("job").rate == read_rate("50/s", 5)
    limits.configure_handler("job", {"rate_limit": "none"})
    limits.refresh()
    assert limits.of_handler("job") is None
    limits.configure_handler("job", {"rate_limit": None})
    limits.refresh()
    assert (limits.of_handler("job").rate, limits.said_about_handlers()) == (read_rate("1/d", 3), [])


def test_who_comes_later_gets_no_token_for_which_tasks_wait_before_it():
    limit_queue("10/s", 1)
    first, second = create(), create()
    claim([first, second])
    later = create(after(0.15))

    assert claim([later], after(0.15)) == []
    assert spend(after(0.15))[0] == 1
    assert [task.pk for task in claim([later, second], after(0.15))] == [second.pk]


def test_who_is_more_important_gets_the_next_token():
    limit_queue("10/s", 1)
    tasks = [create() for _ in range(3)]
    claim(tasks)
    urgent = create(after(0.05), priority=20)
    claim([urgent], after(0.05))

    assert spend(after(0.1))[0] == 1

    assert (state(urgent), state(tasks[1])) == (READY, WAITING)


def test_when_the_limit_is_lifted_all_that_wait_go_on():
    limit_queue("1/d", 1)
    tasks = [create() for _ in range(4)]
    claim(tasks)

    limit_queue(None)

    assert spend(after(1)) == (3, None)
    assert len(claim(tasks, after(1))) == 3
    assert limit_line.count(9) == {Kind.CAP: 0, Kind.RATE: 0}


def test_a_transaction_that_is_repeated_wakes_whom_it_has_not_woken(monkeypatch: pytest.MonkeyPatch):
    limit_queue("1/h", 1)
    tasks = [create() for _ in range(2)]
    claim(tasks)
    follow, planned = limiting.follow, {}

    def lose(moved: list[Task]) -> None:
        monkeypatch.setattr(limiting, "follow", follow)
        raise OperationalError(1213, "Deadlock found when trying to get lock; try restarting transaction")

    monkeypatch.setattr(limiting, "follow", lose)

    assert spend(after(3600), planned=planned) == (1, pytest.approx(3600))
    assert state(tasks[1]) == READY
    assert spend(after(3601), planned=planned) == (0, pytest.approx(3599))


def test_the_token_of_one_that_was_woken_and_cancelled_is_another_ones_in_seconds():
    limit_queue("1/h", 1)
    tasks = [create() for _ in range(3)]
    claim(tasks)
    planned: dict[Limit, lifecycle.Plan] = {}
    assert spend(after(3600), planned=planned)[0] == 1
    lifecycle.cancel(tasks[1].pk, after(3600))

    assert spend(after(3604), planned=planned)[0] == 0
    assert spend(after(3605), planned=planned)[0] == 1
    assert [task.pk for task in claim([tasks[2]], after(3606))] == [tasks[2].pk]


def test_the_rate_is_met_though_everybody_is_late():
    limit_queue("10/s", 1)
    tasks = lifecycle.create([new_task() for _ in range(220)], START)
    planned: dict[Limit, lifecycle.Plan] = {}
    started = len(claim(tasks[:4]))
    for step in range(1, 200):
        now = after(step / 10 + step * 37 % 60 / 1000)
        spend(now, planned=planned)
        started += len(claim(tasks[started : started + 4], now))

    assert started == pytest.approx(200, rel=0.02)
