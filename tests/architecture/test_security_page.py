"""docs/SECURITY.md: what it says was tried is tried by tests that exist."""

from __future__ import annotations

import re

from tests.support.sources import ROOT

PAGE = (ROOT / "docs/SECURITY.md").read_text()


def test_each_test_that_is_named_exists():
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", PAGE))

    assert len(named) > 30
    assert sorted(path for path in named if "def test_" not in (ROOT / path).read_text()) == []


def test_each_attack_names_what_tries_it():
    rows = [
        line
        for line in PAGE.splitlines()
        if line.startswith("| ") and not line.startswith(("| attack", "| what", "| ---"))
    ]

    assert [row for row in rows if "`tests/" not in row] == []
