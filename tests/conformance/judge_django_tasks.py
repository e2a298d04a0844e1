"""Runs other people's tests of `django.tasks` on DTQ's back end; prints what became of each. Run by test_django_tasks.py.

`python judge_django_tasks.py django FOLDER` runs Django's own, on a Django that has them, with DTQ in the place of the back end
that keeps its results in memory. `python judge_django_tasks.py django-tasks-db FOLDER` runs those of the package django-tasks-db
on the package django-tasks, with DTQ in the place of its back end, table and worker; see judged_table.py. Further arguments are
names of tests that are not run.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import unittest
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = "others_tests"


class Verdicts(unittest.TestResult):
    """What became of each test: `passed`, or the last line of what it said. One of which a part has failed has failed."""

    def __init__(self) -> None:
        super().__init__()
        self.by_name: dict[str, str] = {}

    def startTest(self, test: unittest.TestCase) -> None:
        """Forget what the process remembers of rows; a test before this one may have removed them."""
        from accounts import registration
        from tests.support.factories import forget_what_processes_remember

        forget_what_processes_remember()
        registration.forget_teams()
        super().startTest(test)

    def stopTest(self, test: unittest.TestCase) -> None:
        """Keep the verdict."""
        super().stopTest(test)
        said = [trace for each, trace in (*self.failures, *self.errors) if getattr(each, "test_case", each) is test]
        self.by_name[_name_of(test)] = said[0].strip().splitlines()[-1] if said else "passed"


def djangos(folder: Path) -> Iterator[ModuleType]:
    """The modules of Django's tests that are about any back end."""
    from django.tasks.backends import dummy

    from tasks.backend import DTQBackend
    from tasks.models import Task

    class Judged(DTQBackend):
        """With the two things more that the tests ask of the one in whose place it stands."""

        @property
        def results(self) -> list[Any]:
            return [self.get_result(str(key)) for key in Task.objects.order_by("pk").values_list("pk", flat=True)]

        def clear(self) -> None:
            Task.objects.all().delete()

    dummy.DummyBackend = Judged
    _load(PACKAGE, folder / "tasks" / "__init__.py")
    for name in ("test_dummy_backend", "test_tasks"):
        yield _load(f"{PACKAGE}.{name}", folder / "tasks" / f"{name}.py")


def django_tasks_dbs(folder: Path) -> Iterator[ModuleType]:
    """The module of that package's tests, which use the tasks of Django's."""
    import django_tasks
    from django.conf import settings

    from tests.conformance import judged_table

    settings.TASKS = {"default": {"BACKEND": "tasks.backend.DTQBackend"}}
    judged_table.stand_in()
    sys.modules["django.tasks"] = django_tasks
    _load("tests.tasks", _reworded(folder / "tasks" / "tasks.py"))
    del sys.modules["django.tasks"]
    module = _load(PACKAGE, folder / "django_tasks_db.py")
    module.DatabaseBackendWorkerTestCase.run_worker = staticmethod(judged_table.run_worker)
    yield module


def _reworded(file: Path) -> Path:
    """A copy of Django's tasks, in the working folder, whose failures say what that package's own say: "task" is small there."""
    copy = Path(file.name).absolute()
    copy.write_text(file.read_text().replace("This Task failed", "This task failed"))
    return copy


SUITES: dict[str, Callable[[Path], Iterator[ModuleType]]] = {"django": djangos, "django-tasks-db": django_tasks_dbs}


def _load(name: str, file: Path) -> ModuleType:
    below = [str(file.parent)] if file.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=below)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _name_of(test: unittest.TestCase) -> str:
    return f"{type(test).__name__}.{test._testMethodName}"


def _cases(module: ModuleType, left_out: Collection[str]) -> Iterator[Any]:
    for suite in unittest.defaultTestLoader.loadTestsFromModule(module):
        for case in suite:
            if _name_of(case) not in left_out and type(case).__name__ not in left_out:
                case.databases = type(case).databases = {"default"}
                case.available_apps = type(case).available_apps = None
                yield case


def main(suite: str, folder: Path, left_out: Collection[str]) -> None:
    """Judge, and print the verdicts as JSON."""
    import django

    django.setup()
    from django.test.utils import setup_databases, setup_test_environment

    setup_test_environment()
    setup_databases(verbosity=0, interactive=False)
    verdicts = Verdicts()
    for module in SUITES[suite](folder):
        unittest.TestSuite(_cases(module, left_out)).run(verdicts)
    print(json.dumps(verdicts.by_name))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
