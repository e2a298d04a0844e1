"""What tests of the parts of workers share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.workers.making import MEGABYTE
from tests.unit.workers.remote_world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A remote transport with an empty store."""
    return World(tmp_path / "store", MEGABYTE)
