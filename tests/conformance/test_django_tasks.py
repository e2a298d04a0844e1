"""DTQ as the back end of `django.tasks`, judged by the tests of others, and by ours on a Django that has it built in."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from tests.conftest import Servers
from tests.support import django_environment
from tests.support.sources import ROOT

DJANGOS_LEFT_OUT = {
    "change a result in the memory of the back end": [
        "DummyBackendTestCase.test_refresh_result",
        "DummyBackendTestCase.test_refresh_result_async",
    ],
    "want the tests to be a package of the name tasks, which is ours here": ["TaskTestCase.test_module_path"],
}
"""Tests of Django's that say nothing of a back end like ours, by the reason."""

_TABLE, _WORKER = "DatabaseBackendTestCase", "DatabaseBackendWorkerTestCase"
DJANGO_TASKS_DBS_LEFT_OUT = {
    "are about its own table, locks, pages and commands": [
        "DatabaseTaskResultTestCase",
        "ConnectionExclusiveTranscationTestCase",
        "DatabaseBackendPruneTaskResultsTestCase",
        "DatabaseWorkerProcessTestCase",
        "CompatTestCase",
        "DBTaskResultOrderingTestCase",
        "AdminTestCase",
    ],
    "write columns of its own table": [
        f"{_TABLE}.test_refresh_result",
        f"{_TABLE}.test_refresh_result_async",
        f"{_TABLE}.test_invalid_task_path",
        f"{_TABLE}.test_missing_task_path",
        f"{_TABLE}.test_task_name",
        f"{_TABLE}.test_priority_range_check",
        f"{_TABLE}.test_index_scan_for_ready",
        f"{_TABLE}.test_run_after_null_0016_migration",
        f"{_WORKER}.test_invalid_task_path",
        f"{_WORKER}.test_missing_task_path",
        f"{_WORKER}.test_task_import_string",
        f"{_WORKER}.test_run_after_priority",
    ],
    "choose how ids are made; ours are of version 7, not 4": [
        f"{_TABLE}.test_enqueue_task",
        f"{_TABLE}.test_enqueue_task_async",
        f"{_TABLE}.test_custom_id_function",
        f"{_TABLE}.test_unknown_id_function",
        f"{_TABLE}.test_postgres_db_id_function",
        f"{_TABLE}.test_postgres_id_function_expression",
    ],
    "want its app to be installed, or USE_TZ to be false": [
        f"{_TABLE}.test_database_backend_app_missing",
        f"{_TABLE}.test_run_after_tz",
    ],
    "give arguments to its command, or read what it prints": [
        f"{_WORKER}.test_exclude_queues_requires_processing_all_queues",
        f"{_WORKER}.test_unknown_backend",
        f"{_WORKER}.test_incorrect_backend",
        f"{_WORKER}.test_negative_interval",
        f"{_WORKER}.test_infinite_interval",
        f"{_WORKER}.test_fractional_interval",
        f"{_WORKER}.test_zero_interval",
        f"{_WORKER}.test_negative_max_tasks",
        f"{_WORKER}.test_zero_max_tasks",
        f"{_WORKER}.test_too_long_worker_id",
        f"{_WORKER}.test_empty_worker_id",
        f"{_WORKER}.test_verbose_logging",
        f"{_WORKER}.test_max_tasks",
    ],
    "wait for rows that another connection has locked; SQLite has no such locks": [
        f"{_WORKER}.test_worker_with_locked_rows",
    ],
    "want a message of Python's json; it comes from django.tasks before": [f"{_WORKER}.test_complex_return_value"],
}
"""Tests of django-tasks-db's that say nothing of a back end like ours, by the reason."""


@pytest.fixture(scope="module")
def environment() -> tuple[Path, Path]:
    """An interpreter with a Django that has `django.tasks`, and the folder of the tests."""
    program = django_environment.interpreter()
    if program is None:
        pytest.skip("no Python 3.12 or later is found here, which the Django that has django.tasks needs")
    return django_environment.ensure(program)


def judged(
    python: Path | str, suite: str, tests: Path, left_out: Mapping[str, Iterable[str]], servers: Servers, folder: Path
) -> dict[str, str]:
    """What became of the tests of that suite."""
    variables = {
        **servers.environment,
        "DATABASE_URL": f"sqlite:///{folder}/judged.sqlite3",
        "DJANGO_ALLOW_ASYNC_UNSAFE": "1",  # coroutines among them look at rows by plain calls
        "PYTHONPATH": str(ROOT),
    }
    names = [name for each in left_out.values() for name in each]
    judge = [python, ROOT / "tests/conformance/judge_django_tasks.py", suite, tests, *names]
    done = subprocess.run(judge, env=variables, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    verdicts: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return verdicts


def test_djangos_tests_of_a_back_end_pass(environment: tuple[Path, Path], servers: Servers, tmp_path: Path):
    python, tests = environment

    verdicts = judged(python, "django", tests, DJANGOS_LEFT_OUT, servers, tmp_path)

    assert {name: said for name, said in verdicts.items() if said != "passed"} == {}
    assert len(verdicts) == 48


def test_django_tasks_dbs_tests_of_a_back_end_pass(environment: tuple[Path, Path], servers: Servers, tmp_path: Path):
    _, tests = environment

    verdicts = judged(sys.executable, "django-tasks-db", tests, DJANGO_TASKS_DBS_LEFT_OUT, servers, tmp_path)

    assert {name: said for name, said in verdicts.items() if said != "passed"} == {}
    assert len(verdicts) == 26


@pytest.mark.long
def test_our_tests_of_it_pass_on_that_django_too(environment: tuple[Path, Path], servers: Servers, tmp_path: Path):
    python, _ = environment
    variables = {name: value for name, value in servers.environment.items() if name != "DJANGO_SETTINGS_MODULE"}
    ours = ["tests/integration/django_tasks", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path}/pytest"]

    done = subprocess.run([python, "-m", "pytest", *ours], env=variables, cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout
