"""Retry and Discard carry what their outcome needs."""

from __future__ import annotations

import pytest

from tasks import Discard, Retry


def test_retry_carries_its_wait_and_reason():
    assert (Retry().delay_seconds, Retry().reason, str(Retry())) == (None, "", "The handler asked for another attempt.")
    assert (Retry(0).delay_seconds, Retry(2.5, "busy").reason, str(Retry(2.5, "busy"))) == (0, "busy", "busy")


@pytest.mark.parametrize("delay", [-1, 31_536_001, float("nan"), float("inf")])
def test_a_wait_out_of_range_is_refused(delay):
    with pytest.raises(ValueError) as refused:
        Retry(delay)

    assert str(refused.value) == f"Retry: delay_seconds must be from 0 to 31536000, not {delay!r}"


def test_discard_carries_its_reason():
    assert (Discard("no such address").reason, str(Discard("no such address"))) == ("no such address",) * 2
