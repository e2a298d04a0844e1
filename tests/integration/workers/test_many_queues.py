"""What a claim asks where there are many queues, most of which are empty."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dtq_site.foundation.clock import elapsed_clock
from tasks import lifecycle, queues
from tasks.queue import keys
from tasks.queue.database_index import DatabaseIndex
from tasks.queue.index import Hint
from tasks.queue.redis_index import RedisIndex
from tests.integration.workers.claims import by_queue, caller, claim, fill, whole
from tests.support.factories import START, make_team, new_task
from workers import open_queues
from workers.gateway import wait

MANY = ["default", *(f"tenant-{number}" for number in range(20))]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The queues whose lines were asked, in the index or as rows."""
    found: list[str] = []
    for kind in (RedisIndex, DatabaseIndex):
        monkeypatch.setattr(kind, "take", _noting(found, kind.take))
    return found


def _noting(found: list[str], take: Callable[..., list[Hint]]) -> Callable[..., list[Hint]]:
    def noted(index: RedisIndex, queue: str, *args: object, **options: object) -> list[Hint]:
        found.append(queue)
        return take(index, queue, *args, **options)

    return noted


def add_to(queue: str, name: str = "job") -> UUID:
    (task,) = lifecycle.create([new_task(queue=queue, name=name)], START)
    return task.pk


@pytest.mark.parametrize("from_database", [True, False])
def test_only_those_are_asked_in_which_there_is_work(asked: list[str], from_database: bool):
    fill(**dict.fromkeys(MANY, 0) | {"tenant-3": 2, "tenant-7": 1})

    won = claim(3, from_database=from_database)

    assert by_queue(won) == {"tenant-3": 2, "tenant-7": 1}
    assert set(asked) == {"tenant-3", "tenant-7"}


def test_tasks_of_other_handlers_are_no_work(asked: list[str]):
    fill(**dict.fromkeys(MANY, 0))
    add_to("tenant-3", name="other")

    assert claim(3) == []
    assert asked == []


def test_a_queue_whose_index_is_not_whole_is_asked_for_its_rows(redis_server, asked: list[str]):
    fill(**dict.fromkeys(MANY, 0) | {"tenant-3": 1})
    redis_server.delete(keys.whole("tenant-3"))

    assert by_queue(claim(3)) == {"tenant-3": 1}
    assert set(asked) == {"tenant-3"}


def test_a_task_that_is_being_handed_over_is_work(asked: list[str]):
    fill(**dict.fromkeys(MANY, 0) | {"tenant-3": 1})
    whole("tenant-3").take("tenant-3", ["job"], 1)

    claim(3)

    assert asked == ["tenant-3", "tenant-3"]


def test_who_is_waked_asks_the_queue_that_rang_and_no_other(asked: list[str], monkeypatch: pytest.MonkeyPatch):
    fill(**dict.fromkeys(MANY, 0))
    monkeypatch.setattr(open_queues, "_GOOD_FOR", 1e9)
    assert claim(3) == []
    task_id = add_to("tenant-5")
    assert claim(3) == []  # the answer of before is still good

    wait(caller(), 3)

    assert [task.pk for task in claim(3)] == [task_id]
    assert asked == ["tenant-5"]
    second = add_to("tenant-5")
    assert [task.pk for task in claim(3)] == [second]


@pytest.mark.parametrize("count", [1, len(MANY)])
def test_who_is_waked_for_a_queue_that_is_new_asks_it(count: int):
    fill(**dict.fromkeys(MANY[:count], 0))
    assert claim(3) == []  # which queues there are is remembered from here on
    task_id = add_to("new")
    whole("new")

    wait(caller(), 3)

    assert [task.pk for task in claim(3)] == [task_id]


@pytest.mark.parametrize("count", [1, len(MANY)])
def test_who_waits_hears_soon_of_a_queue_that_is_open_again(count: int, monkeypatch: pytest.MonkeyPatch):
    fill(**dict.fromkeys(MANY[:count], 0))
    queues.pause("default")
    task_id = add_to("default")
    wait(caller(), 0.1)
    assert claim(3) == []
    queues.resume("default")
    monkeypatch.setattr(open_queues, "elapsed_clock", lambda: elapsed_clock() + 0.6)

    wait(caller(), 0.1)

    assert [task.pk for task in claim(3)] == [task_id]


def test_many_queues_cost_a_remote_worker_no_statement_more():
    team = make_team("far")
    fill(**dict.fromkeys(MANY, 0))
    costs = []
    for served in ({"tenant-3"}, {"tenant-3"}, set()):
        lifecycle.create([new_task(queue="tenant-3", team=team)], START)
        with CaptureQueriesContext(connection) as statements:
            assert by_queue(claim(3, caller(queues=served, team_id=team.pk))) == {"tenant-3": 1}
        costs.append(len(statements))

    _, one, many = costs  # the first one reads what all need
    assert many == one + 1  # where there is work


def test_the_bell_of_all_queues_says_which(redis_server):
    index = whole("tenant-1")
    add_to("tenant-1", name="other")
    assert index.wait(None, ["job"], 0.05) is None

    add_to("tenant-1")

    assert index.wait(None, ["a", "job"], 0.05) == "tenant-1"
    assert index.wait(None, ["a", "job"], 0.05) is None
    assert index.wait(["tenant-1"], ["job"], 0.05) == "tenant-1"  # another bell, for who serves some
    assert 0 < redis_server.ttl(keys.bell_of_all("other")) <= keys.BELL_SECONDS
