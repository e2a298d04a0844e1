"""What every package and file of the product keeps: a docstring that leads the reader, and no look at the environment."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.sources import PACKAGES, ROOT, parsed, python_files

ENVIRONMENT_READERS = {
    "dtq_site/settings.py",
    "dtq_site/settings_remote.py",
    "dtq_site/management/commands/dev.py",  # hands its own environment to the processes that it starts
}


@pytest.mark.parametrize("path", [str(path) for path in python_files() if path.name == "__init__.py"])
def test_every_package_says_what_lives_in_it(path: str) -> None:
    assert (ast.get_docstring(parsed(Path(path))) or "").strip()


def test_every_folder_with_code_is_a_package() -> None:
    folders = {path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")}

    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


@pytest.mark.parametrize("path", [str(path) for path in python_files()])
def test_the_environment_is_read_in_settings_only(path: str) -> None:
    assert environment_reads(parsed(Path(path))) == [] or path in ENVIRONMENT_READERS


@pytest.mark.parametrize(
    "code",
    [
        "os.environ['A']",
        "os.environ.get('A')",
        "os.getenv('A')",
        "dict(os.environ)",
        "from os import environ",
        "from os import getenv",
    ],
)
def test_every_way_to_read_the_environment_is_seen(code: str) -> None:
    assert environment_reads(ast.parse(code)) != []


def test_naming_the_settings_module_is_no_reading() -> None:
    tree = ast.parse("os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'dtq_site.settings')")

    assert environment_reads(tree) == []


def environment_reads(tree: ast.Module) -> list[str]:
    """The looks at the environment in `tree`. A `setdefault`, with which an entry point names its settings, only writes."""
    written = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "setdefault"
    }
    return [ast.unparse(node) for node in ast.walk(tree) if id(node) not in written and _reads(node)]


def _reads(node: ast.AST) -> bool:
    match node:
        case ast.ImportFrom(module="os", names=names):
            return any(name.name in ("environ", "getenv") for name in names)
        case ast.Attribute(value=ast.Name(id="os"), attr="environ" | "getenv"):
            return True
    return False
