"""What every dispatch index does.

One clause differs by nature: what was taken from Redis is nobody else's until it is confirmed or late, while the rows are handed
to everybody who asks, for the guarded claim decides anyway. It is tested with each index, in `tests/integration/tasks`.
"""

from __future__ import annotations

from typing import Any

import pytest

from tasks.domain.states import TaskStatus
from tasks.models import Task
from tasks.queue.index import DispatchIndex, Hint
from tests.support.factories import after, bare_row, hint_of


def ready(index: DispatchIndex, *, seconds: float = 0, **fields: Any) -> Hint:
    """A ready task, known to the index."""
    hint = hint_of(bare_row(after(seconds), **fields))
    index.add([hint])
    return hint


def started(index: DispatchIndex, *hints: Hint) -> None:
    """The tasks are claimed, and the index is told."""
    Task.objects.filter(pk__in=[hint.id for hint in hints]).update(status=TaskStatus.PROCESSING)
    index.confirm(hints)


def test_an_empty_queue_has_nothing(index):
    assert index.take("default", {"job"}, 10) == []
    assert index.depth("default") == 0


def test_what_was_added_is_handed_out_as_it_was_added(index):
    hint = ready(index)

    assert index.take("default", {"job"}, 10) == [hint]


def test_a_higher_priority_goes_first_then_the_earlier(index):
    late_low = ready(index, seconds=5, priority=1)
    early_low = ready(index, seconds=0, priority=1)
    late_high = ready(index, seconds=9, priority=10)

    assert index.take("default", {"job"}, 10) == [late_high, early_low, late_low]


def test_equal_ranks_go_in_the_order_of_their_creation(index):
    hints = [hint_of(bare_row()) for _ in range(5)]
    index.add(hints[::-1])

    assert index.take("default", {"job"}, 10) == hints


def test_the_first_are_taken_over_the_lanes_of_all_names(index):
    third, first, second = (
        ready(index, seconds=3, name="a"),
        ready(index, seconds=1, name="b"),
        ready(index, seconds=2, name="a"),
    )

    assert index.take("default", {"a", "b"}, 2) == [first, second]
    assert third not in index.take("default", {"b"}, 2)


def test_no_more_than_the_limit_is_taken(index):
    hints = [ready(index, seconds=n) for n in range(3)]

    assert index.take("default", {"job"}, 2) == hints[:2]
    assert index.take("default", {"job"}, 0) == []


def test_a_name_that_is_not_asked_for_blocks_nobody(index):
    unknown = ready(index, seconds=0, name="unknown", priority=100)
    known = ready(index, seconds=1, name="known")

    assert index.take("default", {"known"}, 10) == [known]
    assert index.take("default", set(), 10) == []
    assert index.take("default", {"unknown"}, 10) == [unknown]


@pytest.mark.parametrize("name", ["a.b:c-d_e", "x" * 100, "1"])
def test_any_allowed_name_stands_in_a_lane_of_its_own(index, name):
    hint = ready(index, name=name)

    assert index.take("default", {"a"}, 10) == []
    assert index.take("default", {name}, 10) == [hint]


def test_queues_do_not_mix(index):
    here, there = ready(index, queue="default"), ready(index, queue="other")

    assert index.take("default", {"job"}, 10) == [here]
    assert (index.depth("default"), index.depth("other")) == (1, 1)
    assert index.take("other", {"job"}, 10) == [there]


def test_adding_again_changes_nothing(index):
    hints = [ready(index, seconds=n) for n in range(2)]

    index.add(hints)
    index.add(hints[:1] * 3)

    assert index.depth("default") == 2
    assert index.take("default", {"job"}, 10) == hints


def test_what_was_confirmed_is_not_handed_out_again(index):
    first, second = (ready(index, seconds=n) for n in range(2))
    assert index.take("default", {"job"}, 1) == [first]

    started(index, first)

    assert index.depth("default") == 1
    assert index.take("default", {"job"}, 10) == [second]


def test_what_was_dropped_is_not_handed_out(index):
    gone, left = (ready(index, seconds=n) for n in range(2))

    Task.objects.filter(pk=gone.id).update(status=TaskStatus.CANCELLED)
    index.drop([gone])

    assert index.depth("default") == 1
    assert index.take("default", {"job"}, 10) == [left]


def test_the_depth_counts_what_is_being_handed_over_until_it_is_confirmed(index):
    hints = [ready(index, seconds=n, name=name) for n, name in enumerate(["a", "b", "a"])]

    taken = index.take("default", {"a", "b"}, 2)
    assert taken == hints[:2]
    assert index.depth("default") == 3
    started(index, *taken)

    assert index.depth("default") == 1


def test_nothing_to_add_confirm_or_drop_is_no_error(index):
    index.add([])
    index.confirm([])
    index.drop([])

    assert index.depth("default") == 0


def test_ranks_are_kept_to_the_last_millisecond(index):
    hints = [hint_of(bare_row(after(n / 1000), priority=-100)) for n in (2, 0, 1)]
    index.add(hints)

    assert [hint.rank for hint in index.take("default", {"job"}, 10)] == sorted(hint.rank for hint in hints)


def test_waiting_without_queues_or_names_ends_when_the_time_is_over(index):
    index.wait([], {"job"}, 0.02)
    index.wait(["default"], [], 0.02)

    assert index.take("default", {"job"}, 10) == []


def test_waiting_no_time_at_all_ends_at_once(index):
    index.wait(["default"], {"job"}, 0)

    assert index.take("default", {"job"}, 10) == []
