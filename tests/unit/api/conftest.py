"""Each test begins with a small schema that nothing has been done to. Django is not up yet here."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_changes() -> None:
    """Forget what the mutations of other tests did."""
    from tests.unit.api.small_schema import changes

    changes.clear()
