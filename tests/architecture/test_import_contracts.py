"""The ladder of packages: the contracts of pyproject.toml hold, and each is broken by the import that it forbids."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

from tests.support.sources import PACKAGES, ROOT

BREAKS = [
    ("Import downwards only", "tasks/domain/states.py", "import workers.options"),
    ("Import downwards only", "dtq_site/foundation/errors.py", "import accounts.options"),
    ("The pure rooms know values and rules only", "tasks/options.py", "import django.conf"),
    ("The pure rooms know values and rules only", "workers/domain/card.py", "import redis"),
    ("The pure rooms know values and rules only", "tasks/handling/registry.py", "import tasks.models"),
    ("A worker's runtime needs no database and no Redis", "workers/runtime/worker.py", "import django.db"),
    ("A worker's runtime needs no database and no Redis", "workers/offline/store.py", "import redis"),
    ("The floor knows no framework but in its server rooms", "dtq_site/foundation/ids.py", "import redis"),
]

SETTINGS_IN_PARTS = ("dtq_site.production", "dtq_site.servers")
"""What `settings.py` has put into modules of their own."""


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The product's packages and its contracts, free to be spoilt."""
    root = tmp_path_factory.mktemp("copy")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


def checked(root: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True)


def test_the_contracts_hold(copied: Path) -> None:
    done = checked(copied)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("contract", "name", "line"), BREAKS)
def test_a_forbidden_import_breaks_its_contract(copied: Path, contract: str, name: str, line: str) -> None:
    path = copied / name
    before = path.read_text()

    path.write_text(f"{before}\n{line}\n")
    try:
        done = checked(copied)
    finally:
        path.write_text(before)

    assert done.returncode == 1
    assert f"{contract} BROKEN" in done.stdout


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES, cache_dir=None)


def is_floor(module: str) -> bool:
    return module == "dtq_site" or module.startswith("dtq_site.foundation")


def test_nobody_below_imports_the_roof(graph: grimp.ImportGraph) -> None:
    below = [module for module in graph.modules if is_floor(module) or not module.startswith("dtq_site")]

    climbs = [
        f"{module} imports {imported}"
        for module in below
        for imported in graph.find_modules_directly_imported_by(module)
        if imported.startswith("dtq_site") and not is_floor(imported)
    ]
    assert climbs == []


def test_settings_import_nothing_of_an_app_but_its_options(graph: grimp.ImportGraph) -> None:
    imported = graph.find_modules_directly_imported_by("dtq_site.settings")

    of_others = {name for name in imported if not is_floor(name) and name not in SETTINGS_IN_PARTS}
    assert of_others == {name for name in graph.modules if name.endswith(".options") and not is_floor(name)}


@pytest.mark.parametrize("part", SETTINGS_IN_PARTS)
def test_the_parts_of_the_settings_import_nothing_of_an_app_but_its_options(
    graph: grimp.ImportGraph, part: str
) -> None:
    imported = graph.find_modules_directly_imported_by(part)

    assert [name for name in imported if not is_floor(name) and not name.endswith(".options")] == []


def test_the_package_of_the_site_imports_nothing(graph: grimp.ImportGraph) -> None:
    assert graph.find_modules_directly_imported_by("dtq_site") == set()
