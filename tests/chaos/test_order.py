"""The judge of order on trial: rows that were claimed out of order, and those that may look so."""

from __future__ import annotations

import pytest

from tests.chaos.doctored import broken, evidence, ran, row
from tests.chaos.evidence import Evidence, Execution


def line(*claims: tuple[int, float, float], queues: tuple[str, ...] = (), calm: float = 0.0) -> Evidence:
    """Tasks of one queue, each with its rank, when it was ready and when it was claimed; calm from a moment on."""
    names = queues or ("default",) * len(claims)
    rows = [
        row(str(number), number=None, key=None, rank=rank, queued_at=ready, claimed_at=claimed, queue=queue)
        for number, ((rank, ready, claimed), queue) in enumerate(zip(claims, names, strict=True))
    ]
    done = [Execution(each.task, 1, ran().sights, "returned", "1:x") for each in rows]
    return evidence(*rows, executions=done, asked={}, accepted=[], calm=[(calm, 1000.0)])


AHEAD, BEHIND = 1, 2


def test_a_claim_while_one_ahead_of_it_waits_is_told():
    assert broken(line((AHEAD, 0.0, 20.0), (BEHIND, 0.0, 10.0))) == {"order"}


def test_a_claim_in_order_is_right():
    assert broken(line((AHEAD, 0.0, 10.0), (BEHIND, 0.0, 20.0))) == set()


@pytest.mark.parametrize(
    "claims",
    [
        [(AHEAD, 9.0, 20.0), (BEHIND, 0.0, 10.0)],
        [(AHEAD, 0.0, 12.0), (BEHIND, 0.0, 10.0)],
    ],
    ids=["it had arrived a moment ago only", "it was overtaken by a moment only"],
)
def test_the_bounds_of_overtaking_are_granted(claims: list[tuple[int, float, float]]):
    assert broken(line(*claims)) == set()


def test_each_queue_has_an_order_of_its_own():
    assert broken(line((AHEAD, 0.0, 20.0), (BEHIND, 0.0, 10.0), queues=("mail", "reports"))) == set()


def test_the_order_is_judged_while_it_is_calm():
    claims = ((AHEAD, 0.0, 20.0), (BEHIND, 0.0, 10.0))

    assert broken(line(*claims, calm=15.0)) == set()
    assert broken(line(*claims, calm=5.0)) == {"order"}


def test_one_that_waits_long_is_found_behind_others_that_wait_less():
    long, short, inside = (1, 0.0, 100.0), (2, 40.0, 50.0), (3, 0.0, 70.0)

    assert broken(line(long, short, inside)) == {"order"}
    assert broken(line((1, 40.0, 50.0), (2, 0.0, 44.0))) == {"order"}
    assert broken(line((1, 40.0, 50.0), (2, 0.0, 30.0), (3, 0.0, 60.0))) == set()


def test_a_place_that_was_given_after_the_claim_says_nothing_of_it():
    late = (BEHIND, 10.5, 10.0)  # claimed, lost, put in line anew, and completed all the same by its first holder

    assert broken(line((AHEAD, 0.0, 20.0), late)) == set()
