"""The guarantees under any interleaving of requests, duties, faults and losses."""

from __future__ import annotations

import pytest

from tests.model.machine import explore


@pytest.mark.timeout(600)
def test_the_guarantees_hold_whatever_happens(world):
    explore(world, examples=30, steps=40)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_guarantees_hold_for_long(world):
    explore(world, examples=200, steps=60)
