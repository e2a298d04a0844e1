"""The project's own source files, as the architecture tests read them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("accounts", "dtq_site", "scheduling", "tasks", "workers")


def python_files() -> Iterator[Path]:
    """Every Python file of the product, relative to the project's folder; migrations are left out."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path.relative_to(ROOT)


def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file that `python_files` named."""
    return ast.parse((ROOT / path).read_text(), str(path))
