"""Tasks of an app that knows only `django.tasks`, run by real workers of DTQ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import Process, Processes
from tests.support.waiting import eventually


def finished(result: Any) -> Any:
    """The result, once its task has ended. Meanwhile what a scheduler does is done here."""
    from dtq_site.foundation.database import database_clock
    from tasks import lifecycle
    from workers.gateway import retry_policy

    def look() -> bool:
        lifecycle.reap(retry_policy(), lambda: 0.0, database_clock.now())
        lifecycle.promote(database_clock.now())
        result.refresh()
        return bool(result.is_finished)

    eventually(look)
    return result


def test_results_say_how_it_went_and_who_did_it(start_worker: Callable[..., Process], shop: Any):
    from workers.models import Worker

    start_worker()
    added, greeted, told = shop.add.enqueue(1, right=2), shop.greet.enqueue("Ann"), shop.tell_attempt.enqueue("a", "b")
    broken = [shop.break_down.enqueue("no\nsuch page"), shop.break_down_later.enqueue("no\nsuch page")]

    (worker_id,) = (str(worker.pk) for worker in Worker.objects.all())
    assert (finished(added).return_value, finished(greeted).return_value) == (3, {"said": "Hello Ann"})
    assert finished(told).return_value == [1, told.id, "RUNNING", ["a", "b"], [worker_id]]
    assert (added.attempts, added.worker_ids, added.errors) == (1, [worker_id], [])
    assert added.enqueued_at < added.started_at == added.last_attempted_at < added.finished_at
    for each in broken:
        (error,) = finished(each).errors
        assert (each.status, each.worker_ids, error.exception_class) == ("FAILED", [worker_id], LookupError)
        assert error.traceback.startswith("Traceback (most recent call last):\n")
        assert error.traceback.endswith("\nLookupError: no\nsuch page\n")
        with pytest.raises(ValueError, match="Task failed"):
            _ = each.return_value


def test_whether_a_failed_task_runs_again_is_its_own_or_its_back_ends_to_say(
    start_worker: Callable[..., Process], shop: Any
):
    start_worker()
    asked = shop.succeed_at_last.enqueue()
    repeated = shop.break_down.using(backend="patient").enqueue("again")
    at_once = [shop.give_up.enqueue(), shop.leave.enqueue(), shop.return_a_function.enqueue()]

    assert (finished(asked).return_value, asked.attempts, len(set(asked.worker_ids))) == (2, 2, 1)
    assert [error.exception_class_path for error in asked.errors] == ["tasks.handling.errors.Retry"]
    assert asked.started_at < asked.last_attempted_at < asked.finished_at
    assert (finished(repeated).status, repeated.backend, repeated.attempts) == ("FAILED", "patient", 2)
    assert [error.exception_class for error in repeated.errors] == [LookupError, LookupError]
    paths = [error.exception_class_path for each in at_once for error in finished(each).errors]
    assert paths == ["tasks.handling.errors.Discard", "builtins.SystemExit", "builtins.TypeError"]
    assert [each.attempts for each in at_once] == [1, 1, 1]


def test_a_client_of_the_api_runs_declared_tasks_of_its_team_and_nothing_else(
    start_worker: Callable[..., Process], shop: Any
):
    from tasks import submission
    from tasks.domain.submission import Request
    from tasks.models import Task
    from tests.support.factories import make_team

    start_worker()
    path, no_task = shop.add.module_path, f"{shop.__name__}.close_shop"
    ours, others = (submission.Owner(make_team(name).pk, None) for name in ("default", "others"))

    def ask(owner: submission.Owner, name: str, **payload: Any) -> Task:
        return submission.submit_one(Request(name=name, payload=payload), owner)

    unknown = [ask(ours, name, args=["true"]) for name in ("os.system", "subprocess.call", no_task)]
    refused = [ask(others, path, args=[1]), ask(ours, path, args="12"), ask(ours, path, code="1")]
    allowed = ask(ours, path, args=[20], kwargs={"right": 22})

    eventually(lambda: Task.objects.get(pk=allowed.pk).status == "COMPLETED")
    assert Task.objects.get(pk=allowed.pk).result == 42
    eventually(lambda: Task.objects.filter(status="FAILED").count() == len(refused))
    assert [Task.objects.get(pk=each.pk).error.partition(":")[0] for each in refused] == [
        "no Task of this installation",
        "args must be a list, and kwargs an object.",
        f"{path} cannot run with this payload",
    ]
    assert {(task.status, task.attempts) for task in Task.objects.filter(pk__in=[each.pk for each in unknown])} == {
        ("QUEUED", 0)
    }


def test_a_task_whose_worker_is_killed_runs_again(start_worker: Callable[..., Process], shop: Any):
    from tasks.models import Task

    first = start_worker()
    result = shop.wait_for_a_second_run.enqueue()
    eventually(lambda: Task.objects.get().begun)

    first.clear_away()
    start_worker()

    assert (finished(result).return_value, result.attempts, len(set(result.worker_ids))) == (2, 2, 2)
    assert [error.exception_class_path for error in result.errors] == ["tasks.django_tasks.errors.WorkerLost"]


def test_an_app_whose_tasks_cannot_be_loaded_stops_the_start(processes: Processes, tmp_path: Path):
    (tmp_path / "broken_shop").mkdir()
    (tmp_path / "broken_shop" / "__init__.py").touch()
    (tmp_path / "broken_shop" / "tasks.py").write_text("import a_module_that_is_not_there\n")
    (tmp_path / "broken_settings.py").write_text(
        "from dtq_site.settings import *\nINSTALLED_APPS = [*INSTALLED_APPS, 'broken_shop']\n"
    )

    worker = processes.manage("runworker", DJANGO_SETTINGS_MODULE="broken_settings", PYTHONPATH=str(tmp_path))

    assert worker.wait() == 1
    assert worker.output == (
        "dtq: The tasks.py of an app cannot be loaded: ModuleNotFoundError: No module named 'a_module_that_is_not_there'. "
        "Mend it, or take its app out of INSTALLED_APPS.\n"
    )
