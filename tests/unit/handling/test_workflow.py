"""Chains and groups: which task waits for which, as it goes through the port."""

from __future__ import annotations

import pytest

from tasks import PayloadMismatch, chain, group, task


@pytest.fixture
def step():
    @task("step")
    def step(word: str): ...

    return step


@pytest.fixture
def last():
    @task("last")
    def last(): ...

    return last


def graph(requests) -> dict[str, list[str]]:
    return {request.key: list(request.depends_on) for request in requests}


def test_a_chain_runs_one_after_the_other(step, last, submitted):
    made = chain(step.task(word="a"), step.task(word="b"), last.task()).enqueue()

    (requests,) = submitted
    assert made == ["task-0", "task-1", "task-2"]
    assert graph(requests) == {"step": [], "step-2": ["step"], "last": ["step-2"]}
    assert [request.payload for request in requests] == [{"word": "a"}, {"word": "b"}, {}]


def test_a_group_runs_beside_each_other_and_what_follows_waits_for_all(step, last, submitted):
    group(*(step.task(word=word) for word in "abc")).then(last.task()).enqueue()

    (requests,) = submitted
    assert graph(requests) == {"step": [], "step-2": [], "step-3": [], "last": ["step", "step-2", "step-3"]}


def test_parts_nest(step, last, submitted):
    def named(key: str):
        return step.options(key=key).task(word=key)

    two = chain(named("b1"), named("b2"))
    chain(named("a"), group(two, named("c")), group(named("d"), named("e")).then(last.task())).enqueue()

    (requests,) = submitted
    assert graph(requests) == {
        "a": [], "b1": ["a"], "b2": ["b1"], "c": ["a"], "d": ["b2", "c"], "e": ["b2", "c"], "last": ["d", "e"],
    }  # fmt: skip


def test_a_part_without_steps_changes_nothing(step, last, submitted):
    chain(group(), step.task(word="a"), group(), last.task()).enqueue()

    assert graph(submitted[0]) == {"step": [], "last": ["step"]}


def test_made_up_keys_keep_clear_of_given_ones(step, submitted):
    group(step.task(word="a"), step.options(key="step-2").task(word="b"), step.task(word="c")).enqueue()

    assert [request.key for request in submitted[0]] == ["step", "step-2", "step-3"]


def test_options_and_tasks_that_are_there_go_along(step, last, submitted):
    class Made:
        id = "0190c2a0-0000-7000-8000-000000000001"

    waits = last.options(depends_on=[Made(), "an-id"], on_dependency_failure="HOLD", queue="bulk")
    chain(step.task(word="a"), waits.task()).enqueue()
    waits.enqueue()

    chained, alone = submitted[0][1], submitted[1][0]
    assert (chained.depends_on, chained.queue) == ((Made.id, "an-id", "step"), "bulk")
    assert (alone.depends_on, alone.on_dependency_failure, alone.key) == ((Made.id, "an-id"), "HOLD", None)


def test_a_workflow_can_be_enqueued_again(step, last, submitted):
    workflow = chain(step.task(word="a"), last.task())

    workflow.enqueue()
    workflow.enqueue()

    assert submitted[0] == submitted[1]


def test_a_payload_that_does_not_fit_is_refused_before_anything_is_made(step, submitted):
    with pytest.raises(PayloadMismatch):
        step.task(words="a")

    assert submitted == []


def test_nothing_is_nothing(submitted):
    assert chain().enqueue() == group().enqueue() == []
    assert submitted == []
