"""What all parts do without while they are tried in one process."""

from __future__ import annotations

import math

import pytest

from dtq_site.foundation import looks


@pytest.fixture(autouse=True)
def _looks_are_never_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a look is a costly one, and a test would be shown what another had seen."""
    monkeypatch.setattr(looks, "COSTLY_SECONDS", math.inf)
