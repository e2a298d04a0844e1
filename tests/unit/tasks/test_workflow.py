"""What may depend on what, and what follows from an end."""

from __future__ import annotations

import itertools
from uuid import UUID

import pytest

from dtq_site.foundation.errors import BadInput, NotFound
from tasks.domain.states import TaskStatus
from tasks.domain.workflow import (
    MOST_EDGES,
    MOST_PARENTS,
    Consequence,
    OnFailure,
    Parent,
    Ties,
    check_graph,
    consequence,
    make_ties,
    parents_of,
)

ID = "0190c2a0-0000-7000-8000-000000000001"
WAIT, MET, CANCEL = Consequence.WAIT, Consequence.MET, Consequence.CANCEL
OTHERWISE = (TaskStatus.FAILED, TaskStatus.DEAD_LETTER, TaskStatus.CANCELLED)


@pytest.mark.parametrize("status", TaskStatus)
def test_a_parent_that_has_not_ended_is_waited_for_and_one_that_completed_is_not(status):
    expected = MET if status == TaskStatus.COMPLETED else WAIT

    if status not in OTHERWISE:
        assert {consequence(status, policy) for policy in OnFailure} == {expected}


@pytest.mark.parametrize("status", OTHERWISE)
def test_after_a_parent_that_ended_otherwise_the_child_has_its_choice(status):
    assert [consequence(status, policy) for policy in OnFailure] == [CANCEL, MET, WAIT]


def test_nobody_waits_for_a_parent_that_is_gone():
    assert {consequence(None, policy) for policy in OnFailure} == {MET}


def test_ties_name_each_parent_once_in_order():
    assert make_ties([" b ", "a", "b"], "hold", "k") == Ties(("b", "a"), OnFailure.HOLD, "k")
    assert make_ties(None, None, None) == Ties((), OnFailure.CANCEL, None)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (([str(n) for n in range(MOST_PARENTS + 1)], None, None), "dependsOn"),
        (([], "explode", None), "onDependencyFailure"),
        (([], None, "-"), "key"),
        (([], None, "k" * 101), "key"),
    ],
)
def test_ties_that_are_not_allowed_name_their_field(given, field):
    with pytest.raises(BadInput) as refused:
        make_ties(*given)

    assert refused.value.field == field


def test_a_cycle_is_named():
    ties = [Ties(("c",), key="a"), Ties(("a",), key="b"), Ties(("b",), key="c"), Ties(("c",), key="d")]

    with pytest.raises(BadInput) as refused:
        check_graph(ties, "tasks")

    *_, cycle = refused.value.message.rstrip(".").split(": ")
    names = cycle.split(" -> ")
    assert names[0] == names[-1] and sorted(names[1:]) == ["a", "b", "c"]
    assert all((first + second) in ("ab", "bc", "ca") for first, second in itertools.pairwise(names))


def test_what_is_neither_key_nor_id_is_refused_where_it_stands():
    with pytest.raises(BadInput) as in_workflow:
        check_graph([Ties(key="a"), Ties(("a", "b"), key="c")], "tasks")
    with pytest.raises(NotFound) as alone:
        check_graph([Ties((ID, "b"))], "")

    assert (in_workflow.value.field, alone.value.field) == ("tasks[1].dependsOn[1]", "dependsOn[1]")


def test_a_call_makes_so_many_dependencies_and_no_more():
    names = tuple(f"k{n}" for n in range(101))
    leaves = [Ties(key=name) for name in names]
    most = [Ties(names[:100], key=f"s{n}") for n in range(MOST_EDGES // 100)]

    check_graph([*leaves, *most], "tasks")
    with pytest.raises(BadInput, match="10,001 dependencies in one call"):
        check_graph([*leaves, *most[1:], Ties(names, key="last")], "tasks")


def test_a_key_of_the_call_goes_before_an_id_and_two_names_of_one_task_count_once():
    key = UUID(int=7)

    found = parents_of(Ties((ID, "a", str(key))), {"a": key, ID: UUID(int=8)})

    assert found == (Parent(UUID(int=8), ID), Parent(key, "a"))
