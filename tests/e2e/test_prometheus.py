"""Debian's Prometheus scrapes a running installation: every metric is there, every rule and every panel finds data.

One installation serves all tests of the module: an API server, a worker and a scheduler, with tasks that ran and failed while
Prometheus looked.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_django import DjangoDbBlocker

from tests.conftest import Servers
from tests.e2e import conftest as e2e
from tests.support.database import Baseline
from tests.support.live_server import LiveServer, start_live_server
from tests.support.processes import ROOT, Processes
from tests.support.prometheus import PrometheusServer, promtool
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(PrometheusServer.program is None, reason="this needs the Debian package prometheus")

TOKEN = "a-token-for-prometheus"
CONTRACT = {
    "dtq_tasks_total": ("counter", {"status"}),
    "dtq_queue_depth": ("gauge", {"queue"}),
    "dtq_task_duration_seconds": ("histogram", set()),
    "tasks_created_total": ("counter", {"priority"}),
    "tasks_completed_total": ("counter", set()),
    "tasks_failed_total": ("counter", set()),
    "tasks_active": ("gauge", set()),
    "queue_size": ("gauge", set()),
    "task_duration_seconds": ("histogram", set()),
    "dtq_task_wait_seconds": ("histogram", set()),
    "dtq_task_retries_total": ("counter", set()),
    "dtq_dead_letters_total": ("counter", set()),
    "dtq_lost_leases_total": ("counter", set()),
    "dtq_reconciler_repairs_total": ("counter", set()),
    "dtq_workers_online": ("gauge", set()),
    "dtq_scheduler_late_seconds": ("gauge", set()),
    "dtq_scheduler_leader": ("gauge", set()),
    "dtq_subscriptions_open": ("gauge", set()),
    "django_http_requests_before_middlewares_total": ("counter", set()),
    "django_db_execute_total": ("counter", {"alias", "vendor"}),
}
DASHBOARDS = sorted((ROOT / "docker/grafana/dashboards").glob("*.json"))
VARIABLES = {"$__rate_interval": "1m", "$job": "dtq", "$queue": ".*", "$instance": ".*"}


METRIC = re.compile(r"(?<![\w:])(?:dtq_\w+|tasks?_\w+|queue_size|up)(?![\w:])")


@dataclass(frozen=True)
class Installation:
    """What runs, and how many tasks it has completed."""

    api: LiveServer
    prometheus: PrometheusServer
    completed: int


@pytest.fixture(scope="module")
def committed(django_db_setup: Baseline, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The database as `committed_db` has it, for all tests of the module."""
    from django.db import connection

    from accounts import registration
    from tasks import queues

    with django_db_blocker.unblock():
        yield
        connection.close()
        django_db_setup.restore()
        queues.forget_known()
        registration.forget_teams()


@pytest.fixture(scope="module")
def installation(committed: None, servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("watched")
    with ExitStack() as cleanup:
        processes = Processes(servers.environment, folder)
        cleanup.callback(processes.clear_away)
        worker = processes.manage("runworker", DTQ_HANDLERS=e2e.HANDLERS, RETRY_BACKOFF="100")
        scheduler = processes.manage("runscheduler")
        api = start_live_server(processes, DTQ_METRICS_TOKEN=TOKEN)
        prometheus = PrometheusServer(folder / "prometheus", f"127.0.0.1:{api.port}", TOKEN)
        prometheus.start()
        cleanup.callback(prometheus.stop)
        eventually(lambda: prometheus.ask("tasks_completed_total") == [(_of(api), 0.0)])
        worker.wait_for("worker.ready")
        scheduler.wait_for("leader.elected")
        completed = _run_tasks(folder / "journal")
        eventually(lambda: prometheus.ask("dtq_tasks_total{status='completed'}")[0][1] == completed)
        eventually(lambda: prometheus.ask("tasks_failed_total")[0][1] == 2)
        yield Installation(api, prometheus, completed)


def _of(api: LiveServer) -> dict[str, str]:
    return {"__name__": "tasks_completed_total", "instance": f"127.0.0.1:{api.port}", "job": "dtq"}


def _run_tasks(journal: Path) -> int:
    """Tasks of every level that complete, one that fails and one that becomes a dead letter after a retry."""
    from accounts.registration import team_named
    from tasks import submission
    from tasks.domain.submission import Request
    from tasks.models import Task

    owner = submission.Owner(team_named("default").pk, None)

    def submit(name: str, payload: dict[str, Any], **more: Any) -> None:
        submission.submit_one(Request(name=name, payload=payload, **more), owner)

    words = ("a", "b", "c", "d", "e")
    for word in words:
        submit("journal", {"journal": str(journal), "word": word}, queue="mail")
    submit("journal", {"wrong": 1})
    submit("fails-twice", {}, max_retries=1)
    eventually(lambda: Task.objects.filter(status="DEAD_LETTER").count() == 1, 30)
    return len(words)


# --- what is exposed -----------------------------------------------------------------------------------------------


def test_prometheus_finds_every_metric_of_the_contract(installation: Installation):
    told = installation.prometheus.read("metadata")
    found = {}
    for name, (kind, _) in CONTRACT.items():
        samples = installation.prometheus.ask(f"{name}_count" if kind == "histogram" else name)
        labels = {label for sample, _ in samples for label in sample} - {"__name__", "job", "instance"}
        found[name] = (told[name][0]["type"] if samples else None, labels)

    assert found == CONTRACT


def test_the_figures_are_those_of_the_tasks(installation: Installation):
    def value(expression: str) -> float:
        ((_, found),) = installation.prometheus.ask(expression)
        return found

    assert value("tasks_completed_total") == value("dtq_task_duration_seconds_count") == installation.completed
    assert value("sum(tasks_created_total)") == value("tasks_created_total{priority='NORMAL'}") == 7
    assert value("dtq_dead_letters_total") == value("dtq_queue_dead_letters{queue='default'}") == 1
    assert value("dtq_tasks_total{status='failed'}") == value("dtq_task_retries_total") == 1
    assert value("tasks_active") == value("queue_size") == value("dtq_queue_depth{queue='mail'}") == 0
    assert value("dtq_workers_online") == value("dtq_scheduler_leader") == value("dtq_redis_up") == 1


def _is_ours(name: str) -> bool:
    return re.match(r"dtq_|tasks?_|queue_", name) is not None


def test_promtool_has_nothing_to_say_about_our_metrics(installation: Installation):
    answer = httpx.get(f"{installation.api.http_url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    lines = answer.text.splitlines(keepends=True)
    ours = [line for line in lines if _is_ours(re.sub(r"^# (HELP|TYPE) ", "", line))]
    assert len({line for line in ours if line.startswith("# TYPE")}) > 40

    said = promtool("check", "metrics", given="".join(ours))

    assert (said.stdout, said.stderr, said.returncode) == ("", "", 0)


def test_the_targets_of_the_shipped_configuration_answer(installation: Installation):
    found = installation.prometheus.read("targets")["activeTargets"]

    assert {target["labels"]["job"]: target["health"] for target in found} == {"dtq": "up", "prometheus": "up"}


# --- what asks for it ----------------------------------------------------------------------------------------------


def test_every_rule_is_evaluated_and_no_alert_fires_but_none_lacks_its_metrics(installation: Installation):
    def evaluated() -> list[dict[str, Any]]:
        rules = [rule for group in installation.prometheus.read("rules")["groups"] for rule in group["rules"]]
        assert all(rule["health"] == "ok" for rule in rules), rules
        return rules

    rules = eventually(evaluated)

    assert len(rules) > 20
    assert [rule["name"] for rule in rules if rule.get("state") == "firing"] == []
    names = {name for rule in rules for name in METRIC.findall(rule["query"])}
    assert [name for name in sorted(names) if not installation.prometheus.ask(name)] == []


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_finds_data(installation: Installation, dashboard: Path):
    panels = json.loads(dashboard.read_text())["panels"]
    asked = [(panel["title"], query["expr"]) for panel in panels for query in panel.get("targets", [])]

    def all_find_data() -> bool:
        assert [each for each in asked if not _finds_data(installation.prometheus, each[1])] == []
        return True

    assert eventually(all_find_data, every_seconds=0.5)  # a rate needs two scrapes


def _finds_data(prometheus: PrometheusServer, expression: str) -> bool:
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    return not all(math.isnan(value) for _, value in prometheus.ask(expression))
