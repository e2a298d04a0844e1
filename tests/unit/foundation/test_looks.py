"""Looks: shared while they go on, and kept for a while where they are costly."""

from __future__ import annotations

import threading

import pytest

from dtq_site.foundation.looks import COSTLY_SECONDS, Look
from tests.support.waiting import eventually


class Sight:
    """What can be looked at: a look takes `seconds` by a clock of its own, and shows how many were made."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds, self.looks, self.now = seconds, 0, 1000.0
        self.failure: Exception | None = None

    def look(self) -> int:
        self.looks += 1
        self.now += self.seconds
        if self.failure:
            raise self.failure
        return self.looks


def looking_at(sight: Sight) -> Look[int]:
    return Look(sight.look, clock=lambda: sight.now)


def test_those_who_ask_while_it_goes_on_share_one_look():
    may_end = threading.Event()
    look = Look(lambda: may_end.wait(10))

    asked = [look.begin() for _ in range(5)]

    assert len(set(map(id, asked))) == 1
    may_end.set()
    assert asked[0].result(10) is True
    eventually(lambda: look.begin() is not asked[0])


def test_a_quick_look_is_made_for_each_who_asks():
    look = looking_at(Sight(COSTLY_SECONDS))

    assert [look.begin().result(10) for _ in range(3)] == [1, 2, 3]


def test_what_was_costly_is_shown_for_four_times_as_long():
    sight = Sight(0.25)
    look = looking_at(sight)

    assert look.begin().result(10) == 1
    sight.now += 0.99
    assert look.begin().result(10) == 1
    sight.now += 0.02
    assert look.begin().result(10) == 2


def test_a_failure_is_not_kept_however_long_it_took():
    sight = Sight(5.0)
    look = looking_at(sight)
    sight.failure = OSError("away")

    with pytest.raises(OSError, match="away"):
        look.begin().result(10)

    sight.failure = None
    assert look.begin().result(10) == 2
