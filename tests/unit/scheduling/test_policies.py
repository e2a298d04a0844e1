"""What becomes of slots that were missed, and of those that are due while the task before still runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from scheduling.domain.misfires import Leniency, MisfirePolicy, slots_to_run
from scheduling.domain.overlaps import Firing, OverlapPolicy, decide
from scheduling.domain.timing import Calendar, Timing

LENIENCY = Leniency(timedelta(seconds=15), 3)
HOURLY = Calendar(Timing("0 * * * *", None), UUID(int=1))
SECONDS = Calendar(Timing("*/5 * * * * *", None), UUID(int=1))


def at(hour: int, minute: int = 0, second: float = 0) -> datetime:
    return datetime(2030, 1, 1, hour, minute, tzinfo=UTC) + timedelta(seconds=second)


A, B, C = at(1), at(2), at(3)


@pytest.mark.parametrize("policy", MisfirePolicy)
def test_a_slot_in_its_moment_runs_whatever_the_policy(policy):
    assert slots_to_run(policy, HOURLY, at(13), at(13), LENIENCY) == [at(13)]
    assert slots_to_run(policy, HOURLY, at(13), at(13, 0, 15), LENIENCY) == [at(13)]


@pytest.mark.parametrize("policy", MisfirePolicy)
def test_slots_that_are_late_by_less_than_the_grace_each_run_whatever_the_policy(policy):
    waiting = at(13, 0, 5)

    assert slots_to_run(policy, SECONDS, waiting, at(13, 0, 16), LENIENCY) == [waiting, at(13, 0, 10), at(13, 0, 15)]


@pytest.mark.parametrize(
    ("policy", "now", "expected"),
    [
        (MisfirePolicy.SKIP, at(13, 0, 15.1), []),
        (MisfirePolicy.SKIP, at(17, 20), []),
        (MisfirePolicy.SKIP, at(17, 0, 15), [at(17)]),
        (MisfirePolicy.FIRE_ONCE, at(13, 0, 15.1), [at(13)]),
        (MisfirePolicy.FIRE_ONCE, at(17, 20), [at(13)]),
        (MisfirePolicy.FIRE_ONCE, at(17), [at(13)]),
        (MisfirePolicy.FIRE_ALL, at(13, 0, 15.1), [at(13)]),
        (MisfirePolicy.FIRE_ALL, at(15, 20), [at(13), at(14), at(15)]),
        (MisfirePolicy.FIRE_ALL, at(17, 20), [at(15), at(16), at(17)]),
    ],
)
def test_missed_slots(policy, now, expected):
    assert slots_to_run(policy, HOURLY, at(13), now, LENIENCY) == expected


def test_lateness_counts_from_the_end_of_the_jitter():
    jittered = Calendar(Timing("0 * * * *", None, jitter_seconds=3000), UUID(int=1))
    released = jittered.release_of(at(13))
    assert released > at(13, 1)

    late = released + LENIENCY.grace
    assert slots_to_run(MisfirePolicy.SKIP, jittered, at(13), late, LENIENCY) == [at(13)]
    assert slots_to_run(MisfirePolicy.SKIP, jittered, at(13), late + timedelta(seconds=1), LENIENCY) == []


@pytest.mark.parametrize(
    ("policy", "slots", "runs", "expected"),
    [
        (OverlapPolicy.ALLOW, [A, B], False, Firing((A, B))),
        (OverlapPolicy.ALLOW, [A, B], True, Firing((A, B))),
        (OverlapPolicy.SKIP, [A, B], False, Firing((A,))),
        (OverlapPolicy.SKIP, [A, B], True, Firing()),
        (OverlapPolicy.QUEUE_ONE, [A], False, Firing((A,))),
        (OverlapPolicy.QUEUE_ONE, [A, B, C], False, Firing((A,), waits=B)),
        (OverlapPolicy.QUEUE_ONE, [A, B, C], True, Firing((), waits=A)),
        (OverlapPolicy.CANCEL_PREVIOUS, [A, B], False, Firing((B,))),
        (OverlapPolicy.CANCEL_PREVIOUS, [A, B], True, Firing((B,), cancels_previous=True)),
        *[(policy, [], True, Firing()) for policy in OverlapPolicy],
    ],
)
def test_overlaps(policy, slots, runs, expected):
    assert decide(policy, slots, runs) == expected
