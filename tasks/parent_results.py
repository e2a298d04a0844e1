"""Reads what the parents of many tasks have returned, as far as it is small enough to be sent along with them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from django.db.models import F, Func, IntegerField

from tasks.domain.states import TaskStatus
from tasks.models import Dependency, Task

_LENGTH = Func(F("result"), function="LENGTH", output_field=IntegerField())


def results_within(task_ids: Collection[UUID], most_bytes: int) -> dict[UUID, dict[str, Any]]:
    """The results of each task's completed parents by their keys, else by their ids, in the order of naming.

    Tasks go in their order, as far as all that is read takes no more than `most_bytes`; those that do not fit are left out.
    """
    keys = _keys_of_parents(task_ids)
    parent_ids = {parent_id for named in keys.values() for parent_id in named}
    if not parent_ids:
        return {task_id: {} for task_id in task_ids}
    completed = Task.objects.filter(status=TaskStatus.COMPLETED)
    fitting = _fitting(keys, dict(completed.filter(pk__in=parent_ids).values_list("pk", _LENGTH)), most_bytes)
    wanted = {parent_id for child_id in fitting for parent_id in keys[child_id]}
    results = dict(completed.filter(pk__in=wanted).values_list("pk", "result"))
    return {
        child_id: {key: results[parent_id] for parent_id, key in keys[child_id].items() if parent_id in results}
        for child_id in fitting
    }


def _keys_of_parents(task_ids: Collection[UUID]) -> dict[UUID, dict[UUID, str]]:
    edges = Dependency.objects.filter(child_id__in=task_ids).order_by("pk").values_list("child_id", "parent_id", "key")
    keys: dict[UUID, dict[UUID, str]] = {task_id: {} for task_id in task_ids}
    for child_id, parent_id, key in edges:
        keys[child_id][parent_id] = key or str(parent_id)
    return keys


def _fitting(keys: Mapping[UUID, Mapping[UUID, str]], sizes: Mapping[UUID, int | None], most_bytes: int) -> list[UUID]:
    """The tasks whose parents' results fit, each counted for every task that gets it."""
    found = []
    for child_id, parent_ids in keys.items():
        size = sum(sizes.get(parent_id) or 0 for parent_id in parent_ids)
        if size <= most_bytes:
            most_bytes -= size
            found.append(child_id)
    return found
