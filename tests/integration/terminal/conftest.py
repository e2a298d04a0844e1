"""A process that remembers nothing of the test before."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def fresh() -> None:
    """Forget the rows of other tests, which were rolled back."""
    from tests.support.factories import forget_what_processes_remember

    forget_what_processes_remember()
