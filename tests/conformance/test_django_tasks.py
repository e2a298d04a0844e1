"""DTQ as the back end of `django.tasks`, on a Django that has it, judged by that Django's own tests and by ours."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Servers
from tests.support import django_environment
from tests.support.sources import ROOT

NOT_OURS = {
    "test_dummy_backend.DummyBackendTestCase.test_refresh_result": "changes the result in the memory of the back end",
    "test_dummy_backend.DummyBackendTestCase.test_refresh_result_async": "changes the result in the memory of the back end",
    "test_tasks.TaskTestCase.test_module_path": "wants the tests to be a package of the name tasks, which is ours here",
}
"""What fails for a reason that does not lie in the back end; another test of ours proves the same."""


@pytest.fixture(scope="module")
def environment() -> tuple[Path, Path]:
    """An interpreter with that Django, and the folder of its tests."""
    program = django_environment.interpreter()
    if program is None:
        pytest.skip("no Python 3.12 or later is found here, which the Django that has django.tasks needs")
    return django_environment.ensure(program)


def test_djangos_tests_of_a_back_end_pass(environment: tuple[Path, Path], servers: Servers, tmp_path: Path):
    python, tests = environment
    variables = {
        **servers.environment,
        "DATABASE_URL": f"sqlite:///{tmp_path}/judged.sqlite3",
        "DJANGO_ALLOW_ASYNC_UNSAFE": "1",  # coroutines among them look at rows by plain calls
        "PYTHONPATH": str(ROOT),
    }

    judge = [python, ROOT / "tests/conformance/judge_django_tasks.py", tests]
    judged = subprocess.run(judge, env=variables, cwd=tmp_path, capture_output=True, text=True)

    assert judged.returncode == 0, judged.stderr
    verdicts = json.loads(judged.stdout.splitlines()[-1])
    assert len(verdicts) == 57
    assert {name: said for name, said in verdicts.items() if said != "passed" and name not in NOT_OURS} == {}
    assert {name for name in NOT_OURS if verdicts[name] == "passed"} == set()


def test_our_tests_of_it_pass_on_that_django_too(environment: tuple[Path, Path], servers: Servers, tmp_path: Path):
    python, _ = environment
    variables = {name: value for name, value in servers.environment.items() if name != "DJANGO_SETTINGS_MODULE"}
    ours = ["tests/integration/django_tasks", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path}/pytest"]

    judged = subprocess.run([python, "-m", "pytest", *ours], env=variables, cwd=ROOT, capture_output=True, text=True)

    assert judged.returncode == 0, judged.stdout
