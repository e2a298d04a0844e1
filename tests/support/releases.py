"""The releases that docs/CHANGELOG.md names, and what the commit of one had in it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.sources import ROOT

_HEADING = re.compile(r"^## (\d+\.\d+\.\d+) — \d{4}-\d\d-\d\d\n\nCommit `([0-9a-f]{40})`\.$", re.MULTILINE)
_MIGRATIONS = ":(glob)*/migrations/*.py"


@dataclass(frozen=True)
class Release:
    """A version that is in use somewhere."""

    version: str
    commit: str

    def check_out(self, paths: Iterable[str], folder: Path) -> None:
        """Put these files and folders into `folder` as this release has them."""
        archive = subprocess.run(["git", "archive", self.commit, *paths], cwd=ROOT, capture_output=True, check=True)
        folder.mkdir(parents=True)
        subprocess.run(["tar", "-x"], cwd=folder, input=archive.stdout, check=True)

    def migrations(self) -> set[str]:
        """The paths of its migrations."""
        return set(_git("ls-tree", "-r", "--name-only", self.commit, "--", *_migration_folders()))

    def changed_migrations(self) -> list[str]:
        """Those of its migrations that are no longer here, or no longer the same."""
        return _git("diff", "--name-only", "--diff-filter=a", "--no-renames", self.commit, "--", _MIGRATIONS)


def releases(changelog: str) -> list[Release]:
    """All of them, the newest first."""
    return [Release(version, commit) for version, commit in _HEADING.findall(changelog)]


def last_release() -> Release:
    """What present code is upgraded from. Without its commit the test fails; in a clone that has no history it is skipped."""
    newest = releases((ROOT / "docs" / "CHANGELOG.md").read_text())[0]
    known = subprocess.run(["git", "cat-file", "-e", f"{newest.commit}^{{commit}}"], cwd=ROOT, capture_output=True)
    if known.returncode:
        remedy = f"the commit of release {newest.version} is not here: clone with all history (git fetch --unshallow)"
        if _git("rev-parse", "--is-shallow-repository") == ["true"]:
            pytest.skip(remedy)
        pytest.fail(remedy)
    return newest


def _migration_folders() -> list[str]:
    return [str(path.relative_to(ROOT)) for path in ROOT.glob("*/migrations")]


def _git(*arguments: str) -> list[str]:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
