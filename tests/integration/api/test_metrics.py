"""`/metrics`: what it tells of queues, workers, schedules and servers, to whom, and at what cost."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError, connection, connections
from django.test import Client

from dtq_site import metrics
from dtq_site.foundation.clock import elapsed_clock
from dtq_site.metrics import queues as queue_metrics
from dtq_site.metrics.servers import TIMEOUT_SECONDS
from scheduling import samples, schedules
from scheduling.samples import QueueState
from tasks import lifecycle, limit_line, queues
from tasks.domain.limits import Kind, Limit, Scope
from tasks.domain.states import TaskStatus
from tasks.models import LimitWaiter, Task
from tasks.queue.dispatch import redis_index
from tasks.queue.rebuild import Reconciliation
from tests.integration.scheduling.making import at, make
from tests.support.factories import START, ManualClock, after, claim, create, in_state, new_task
from tests.support.servers import free_port
from tests.support.sources import ROOT
from workers import presence
from workers.domain.card import WorkerCard

pytestmark = pytest.mark.usefixtures("committed_db", "redis_server")

TOKEN = "a-token-for-prometheus"


def scrape() -> dict[str, float]:
    """Every sample of ours by its name and labels."""
    text = Client().get("/metrics").content.decode()
    return {name: float(value) for name, value in re.findall(r"^((?:dtq|task|queue)\S*) (\S+)$", text, re.MULTILINE)}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """The database's clock as a scrape reads it."""
    clock = ManualClock(START)
    monkeypatch.setattr(metrics, "database_clock", clock)
    return clock


def sign_on(name: str, seconds: float = 0, *, queues: tuple[str, ...] = (), concurrency: int = 4) -> WorkerCard:
    card = WorkerCard(uuid4(), name, "host", 1, queues, {}, concurrency, "direct", "1")
    presence.sign_on(card, after(seconds))
    return card


# --- what it tells -------------------------------------------------------------------------------------------------


def test_each_queue_as_it_stands(clock: ManualClock):
    for status in (TaskStatus.QUEUED, TaskStatus.QUEUED, TaskStatus.PROCESSING, TaskStatus.DEAD_LETTER):
        in_state(status, queue="mail")
    queues.ensure(["idle"], START)
    queues.pause("idle")

    told = scrape()

    assert {name: told[f'dtq_queue_{name}{{queue="mail"}}'] for name in ("depth", "processing", "dead_letters")} == {
        "depth": 2,
        "processing": 1,
        "dead_letters": 1,
    }
    assert (told['dtq_queue_paused{queue="mail"}'], told['dtq_queue_paused{queue="idle"}']) == (0, 1)
    assert (told['dtq_queue_depth{queue="idle"}'], told['dtq_queue_dead_letters{queue="idle"}']) == (0, 0)
    assert (told["queue_size"], told["tasks_active"]) == (2, 1)


def test_workers_by_state_and_by_queue(clock: ManualClock):
    queues.ensure(["mail", "post"], START)
    held = create(queue="mail")
    silent = sign_on("silent")
    claim([held], START, worker=silent.id)
    sign_on("of all queues", 3000)
    sign_on("of one", 3000, queues=("mail",), concurrency=2)
    presence.sign_off(sign_on("gone", 3000).id, after(3000))
    clock.moment = after(3000)

    told = scrape()

    assert {state: told[f'dtq_workers{{state="{state}"}}'] for state in ("running", "stopping", "silent")} == {
        "running": 2,
        "stopping": 0,
        "silent": 1,
    }
    assert (told['dtq_queue_workers{queue="mail"}'], told['dtq_queue_workers{queue="post"}']) == (2, 1)
    assert (told["dtq_workers_online"], told["dtq_workers_silent"], told["dtq_workers_silent_tasks"]) == (2, 1, 1)
    assert told["dtq_worker_slots"] == 6


def test_schedules_and_how_late_they_are(clock: ManualClock):
    make()
    schedules.pause(make(name="other").pk)
    clock.moment = at(13, 0, 20)

    told = scrape()

    assert (told['dtq_schedules{state="active"}'], told['dtq_schedules{state="paused"}']) == (1, 1)
    assert told["dtq_schedule_late_seconds"] == 20


def test_a_restart_of_redis_that_loses_everything_changes_no_figure(redis_server: Any):
    in_state(TaskStatus.COMPLETED)
    create(queue="mail")
    names = ("tasks_completed_total", 'dtq_tasks_total{status="queued"}', 'dtq_queue_depth{queue="mail"}')
    before = scrape()

    redis_server.flushall()

    assert {name: scrape()[name] for name in names} == {name: before[name] for name in names}
    assert before["tasks_completed_total"] == 1


def test_the_page_on_monitoring_names_every_metric_and_no_other():
    import dtq_site.live  # noqa: F401  its gauges

    page = (ROOT / "docs/MONITORING.md").read_text()
    types = re.findall(r"^# TYPE (\S+)", Client().get("/metrics").content.decode(), re.MULTILINE)
    ours = {name for name in types if re.match("dtq_|tasks?_|queue_", name)}
    named = set(re.findall(r"`((?:dtq_|tasks?_|queue_)\w+)[`{]", page))

    assert {name for name in ours ^ named if not name.startswith("dtq_duty_")} == set()


# --- long lines ----------------------------------------------------------------------------------------------------


def test_the_length_of_a_long_line_is_what_the_whole_index_says(monkeypatch: pytest.MonkeyPatch):
    for _ in range(5):
        create(queue="mail")
    Reconciliation(redis_index(), "mail").ensure_whole()
    monkeypatch.setattr(queue_metrics, "MOST_COUNTED", 3)

    assert scrape()['dtq_queue_depth{queue="mail"}'] == 5


def test_without_a_whole_index_it_is_what_the_last_sample_says(monkeypatch: pytest.MonkeyPatch, redis_server: Any):
    for _ in range(5):
        create(queue="mail")
    redis_server.flushall()
    monkeypatch.setattr(queue_metrics, "MOST_COUNTED", 3)
    assert scrape()['dtq_queue_depth{queue="mail"}'] == 3

    samples.take({"mail": QueueState(4, 1.0)}, START)

    assert scrape()['dtq_queue_depth{queue="mail"}'] == 4


def rows_read() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
        return sum(int(value) for _, value in cursor.fetchall())


def _grow(start: int, count: int) -> None:
    """So many more tasks of every kind that may be many."""
    ageing = [new_task(queue="ageing", priority=n % 5) for n in range(count)]
    due = [new_task(queue="due", scheduled_at=after(86_400 + start + n)) for n in range(count)]
    dead = lifecycle.create([new_task(queue="dead") for _ in range(count)], START)
    made = lifecycle.create([*ageing, *due, *(new_task(queue="mail", priority=n % 5) for n in range(count))], START)
    Task.objects.filter(pk__in=[task.pk for task in dead]).update(status=TaskStatus.DEAD_LETTER)
    cap = Limit(Kind.CAP, Scope.QUEUE, "mail")
    limit_line.stand_in_line([(task.pk, cap, task.queue, task.rank) for task in made])


@pytest.mark.skipif("connection.vendor != 'mysql'", reason="only MariaDB counts what it reads")
def test_a_scrape_reads_a_bounded_number_of_rows(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(queue_metrics, "MOST_COUNTED", 20)
    monkeypatch.setattr("tasks.selectors.MOST_AGEING", 20)
    queues.ensure(["ageing"], START)
    queues.configure("ageing", {"ageing_seconds": 60})
    reads = []
    for start, count in ((0, 100), (100, 500)):
        _grow(start, count)
        list(metrics.CLUSTER.collect())
        before = rows_read()
        list(metrics.CLUSTER.collect())
        reads.append(rows_read() - before)

    assert LimitWaiter.objects.count() == 3 * 600
    assert abs(reads[1] - reads[0]) < 100, reads  # a few sums more
    assert reads[1] < 2000, reads


# --- what is away --------------------------------------------------------------------------------------------------


@pytest.fixture
def database_away() -> Iterator[None]:
    """A database that cannot be reached."""

    def refuse(*_: object) -> None:
        raise OperationalError(2002, "Can't connect to server")

    connection.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections["default"], "connect", refuse)
        yield


def test_without_the_database_the_rest_is_told(database_away: None):
    told = scrape()

    assert (told["dtq_database_up"], told["dtq_redis_up"]) == (0, 1)
    assert "queue_size" not in told and "tasks_completed_total" not in told


def test_without_redis_the_rest_is_told(settings: Any):
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"

    told = scrape()

    assert (told["dtq_database_up"], told["dtq_redis_up"]) == (1, 0)
    assert told["queue_size"] == 0
    assert "dtq_redis_memory_bytes" not in told


def test_a_redis_that_says_nothing_holds_a_scrape_up_for_a_moment_only(settings: Any):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        settings.REDIS_URL = f"redis://127.0.0.1:{mute.getsockname()[1]}/0"
        began = elapsed_clock()

        assert scrape()["dtq_redis_up"] == 0

    assert elapsed_clock() - began < 4 * TIMEOUT_SECONDS


# --- to whom -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer other", f"Basic {TOKEN}", f"Bearer {TOKEN} ", TOKEN])
def test_where_a_token_is_set_nobody_else_reads_it(settings: Any, header: str):
    settings.DTQ_SITE = replace(settings.DTQ_SITE, metrics_token=TOKEN)

    response = Client().get("/metrics", headers={"Authorization": header})

    assert (response.status_code, response["WWW-Authenticate"]) == (401, 'Bearer realm="metrics"')
    assert b"dtq_" not in response.content


def test_who_bears_the_token_reads_it(settings: Any):
    settings.DTQ_SITE = replace(settings.DTQ_SITE, metrics_token=TOKEN)

    response = Client().get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})

    assert response.status_code == 200
    assert b"\ndtq_database_up 1.0\n" in response.content
