"""Tasks that others need or needed: when they may go, and what a child is worth without its parent."""

from __future__ import annotations

import pytest
from django.db.models import Q

from dtq_site.foundation.errors import Conflict
from tasks import lifecycle
from tasks.domain.states import TaskStatus
from tasks.models import Dependency, Task
from tests.integration.tasks.depending import COMPLETED, QUEUED, depending_on, end
from tests.support.factories import START, after, create, discarded, in_state, row


def test_a_task_whose_children_have_not_ended_is_not_deleted():
    parent = create()
    child = depending_on(parent)
    end(parent)
    before = row(parent)

    with pytest.raises(Conflict, match="depend on it have not ended"):
        lifecycle.delete(parent.pk, START)
    assert row(parent) == before

    end(child)
    lifecycle.delete(parent.pk, START)
    assert list(Task.objects.values_list("pk", flat=True)) == [child.pk]

    lifecycle.delete(child.pk, START)
    assert Dependency.objects.count() == 0


def test_retention_passes_over_what_others_still_need():
    needed, done = create(), create()
    child = depending_on(needed, done, on_dependency_failure="HOLD")
    end(needed)
    end(done, discarded)
    old = in_state(COMPLETED)

    removed = [
        lifecycle.remove_ended({COMPLETED, TaskStatus.FAILED}, after(60), limit, after(60)) for limit in (1, 100)
    ]

    assert removed == [(1, True), (0, False)]
    assert set(Task.objects.values_list("pk", flat=True)) == {needed.pk, done.pk, child.pk}
    assert not Task.objects.filter(pk=old.pk).exists()


def test_a_cancelled_child_whose_parent_is_gone_and_never_completed_is_not_run_again():
    parent = create()
    child = depending_on(parent)
    end(parent, discarded)
    lifecycle.delete(parent.pk, START)
    before = row(child)

    with pytest.raises(Conflict, match=f"^Task {parent.pk}, on which it depends, was deleted"):
        lifecycle.retry(child.pk, after(1))

    assert lifecycle.retry_all([child.pk], Q(), after(1)) == 0
    assert row(child) == before


def test_a_child_of_a_parent_that_is_gone_is_run_again_if_that_had_completed_or_did_not_matter():
    finished, broken = create(), create()
    of_finished, of_broken = depending_on(finished), depending_on(broken, on_dependency_failure="RUN")
    end(finished)
    lifecycle.cancel(of_broken.pk, after(1))
    end(broken, discarded)
    lifecycle.cancel(of_finished.pk, after(1))
    for parent in (finished, broken):
        lifecycle.delete(parent.pk, after(1))

    assert lifecycle.retry(of_finished.pk, after(2)).status == QUEUED
    assert lifecycle.retry_all([of_broken.pk], Q(), after(2)) == 1
