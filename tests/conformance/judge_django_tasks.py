"""Runs Django's own tests of `django.tasks` on DTQ's back end; prints what became of each. Run by test_django_tasks.py.

Started in an environment that has the Django whose tests they are: `python judge_django_tasks.py FOLDER_OF_ITS_TESTS`. In the
place of the back end that keeps results in memory stands DTQ's, so wherever the tests ask for the one they get the other.
"""

from __future__ import annotations

import importlib
import json
import sys
import unittest
from pathlib import Path
from typing import Any

PACKAGE = "django_tests_of_tasks"
MODULES = ("test_dummy_backend", "test_tasks")


class Verdicts(unittest.TestResult):
    """What became of each test: `passed`, or the last line of what it said. One whose part failed has failed."""

    def __init__(self) -> None:
        super().__init__()
        self.by_name: dict[str, str] = {}

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        said = [trace for each, trace in (*self.failures, *self.errors) if getattr(each, "test_case", each) is test]
        self.by_name[test.id().removeprefix(f"{PACKAGE}.")] = said[0].strip().splitlines()[-1] if said else "passed"


def stand_in() -> None:
    """Put a back end of DTQ's in the place of Django's DummyBackend, with the two things more that its tests ask of it."""
    from django.tasks.backends import dummy

    from tasks.backend import DTQBackend
    from tasks.models import Task

    class Judged(DTQBackend):
        @property
        def results(self) -> list[Any]:
            return [self.get_result(str(key)) for key in Task.objects.order_by("pk").values_list("pk", flat=True)]

        def clear(self) -> None:
            Task.objects.all().delete()

    dummy.DummyBackend = Judged


def main(folder: Path) -> None:
    """Judge, and print the verdicts as JSON."""
    package = importlib.util.spec_from_file_location(
        PACKAGE, folder / "tasks" / "__init__.py", submodule_search_locations=[str(folder / "tasks")]
    )
    assert package is not None
    sys.modules[PACKAGE] = importlib.util.module_from_spec(package)
    import django

    django.setup()
    from django.test import TransactionTestCase
    from django.test.utils import setup_databases, setup_test_environment

    stand_in()
    setup_test_environment()
    setup_databases(verbosity=0, interactive=False)
    verdicts = Verdicts()
    for name in MODULES:
        module = importlib.import_module(f"{PACKAGE}.{name}")
        for suite in unittest.defaultTestLoader.loadTestsFromModule(module):
            for case in suite:
                type(case).databases = {"default"}
                if isinstance(case, TransactionTestCase):
                    type(case).available_apps = None
            suite.run(verdicts)
    print(json.dumps(verdicts.by_name))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
