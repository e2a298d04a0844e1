"""When a worker counts as online."""

from datetime import timedelta

import pytest

from tests.support.factories import START, after
from workers.domain.liveness import WorkerStatus, is_online

PATIENCE = timedelta(seconds=30)


@pytest.mark.parametrize("status", [WorkerStatus.RUNNING, WorkerStatus.STOPPING])
def test_a_worker_is_online_until_it_was_silent_for_too_long(status):
    assert is_online(status, START, START, PATIENCE)
    assert is_online(status, START, after(30), PATIENCE)
    assert not is_online(status, START, after(30.001), PATIENCE)


def test_a_worker_that_signed_off_is_offline_at_once():
    assert not is_online(WorkerStatus.STOPPED, START, START, PATIENCE)


def test_a_heartbeat_from_the_future_counts():
    assert is_online("running", after(5), START, PATIENCE)
