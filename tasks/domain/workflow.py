"""Tasks that wait for others, their parents: what a call may ask for, and what follows when a parent has ended. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from uuid import UUID

from dtq_site.foundation.errors import BadInput, NotFound
from dtq_site.foundation.ids import parse_uuid
from tasks.domain.states import TERMINAL, TaskStatus

KEY_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
MOST_PARENTS = 1000
"""How many tasks one task may depend on."""

MOST_EDGES = 10_000
"""How many dependencies one call may make."""


class OnFailure(StrEnum):
    """What becomes of a waiting task when a parent ends otherwise than COMPLETED."""

    CANCEL = "CANCEL"
    RUN = "RUN"
    HOLD = "HOLD"


class Consequence(StrEnum):
    """What follows for a waiting task from one of its parents."""

    WAIT = "wait"
    MET = "met"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Parent:
    """A task that another one waits for, and the key under which that one finds its result; None: its id."""

    task_id: UUID
    key: str | None


@dataclass(frozen=True, slots=True)
class Ties:
    """What one task of a call depends on: keys of others of the call, or ids; and the key by which others mean it."""

    depends_on: tuple[str, ...] = ()
    on_failure: OnFailure = OnFailure.CANCEL
    key: str | None = None


def consequence(status: str | None, on_failure: str) -> Consequence:
    """What follows from a parent in that state; None is one that is gone, for which nobody can wait."""
    if status is None or status == TaskStatus.COMPLETED:
        return Consequence.MET
    if status not in TERMINAL or on_failure == OnFailure.HOLD:
        return Consequence.WAIT
    return Consequence.MET if on_failure == OnFailure.RUN else Consequence.CANCEL


def make_ties(depends_on: Collection[str] | None, on_failure: str | None, key: str | None) -> Ties:
    """What a request depends on, each task once. Raises BadInput, naming the field."""
    names = tuple(dict.fromkeys(str(each).strip() for each in depends_on or ()))
    if len(names) > MOST_PARENTS:
        raise BadInput(f"It depends on {len(names):,} tasks; at most {MOST_PARENTS:,} are allowed.", field="dependsOn")
    return Ties(names, _policy(on_failure), _checked_key(key))


def check_graph(ties: Sequence[Ties], argument: str) -> None:
    """Refuse ties at odds with each other. Raises BadInput, or NotFound for what can be no task's id, naming the field."""
    places: dict[str, int] = {}
    for index, each in enumerate(ties):
        if each.key is not None and places.setdefault(each.key, index) != index:
            raise BadInput(f"Two tasks of the call have the key {each.key!r}.", field=field_of(argument, index, "key"))
    if (edges := sum(len(each.depends_on) for each in ties)) > MOST_EDGES:
        raise BadInput(
            f"{edges:,} dependencies in one call; at most {MOST_EDGES:,} are allowed.", field=argument or "dependsOn"
        )
    for index, each in enumerate(ties):
        for position, name in enumerate(each.depends_on):
            if name not in places and parse_uuid(name) is None:
                raise _unknown(name, places, field_of(argument, index, f"dependsOn[{position}]"))
    _refuse_cycles({each.key: each.depends_on for each in ties if each.key is not None}, places, argument)


def parents_of(ties: Ties, ids_by_key: Mapping[str, UUID]) -> tuple[Parent, ...]:
    """The tasks that checked ties mean, each once."""
    found: dict[UUID, Parent] = {}
    for name in ties.depends_on:
        parent = Parent(ids_by_key[name], name) if name in ids_by_key else Parent(_uuid(name), None)
        found.setdefault(parent.task_id, parent)
    return tuple(found.values())


def field_of(argument: str, index: int, field: str) -> str:
    """What a field of one request is called: ``inputs[3].key``, or without an `argument`, as of a task made alone, ``key``."""
    return f"{argument}[{index}].{field}" if argument else field


def _refuse_cycles(graph: Mapping[str, Collection[str]], places: Mapping[str, int], argument: str) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle = error.args[1]
        raise BadInput(
            f"These tasks would wait for each other for ever: {' -> '.join(cycle)}.",
            field=field_of(argument, places[cycle[0]], "dependsOn"),
        ) from None


def _unknown(name: str, places: Mapping[str, int], field: str) -> BadInput | NotFound:
    if not places:
        return NotFound(f"There is no task {name[:120]!r}.", field=field)
    return BadInput(f"{name[:120]!r} is neither the key of a task of this call nor the id of one.", field=field)


def _uuid(name: str) -> UUID:
    found = parse_uuid(name)
    assert found is not None, "checked by check_graph"
    return found


def _policy(value: str | None) -> OnFailure:
    try:
        return OnFailure.CANCEL if value is None else OnFailure(value.upper())
    except ValueError:
        raise BadInput(
            f"onDependencyFailure is one of {', '.join(OnFailure)}, not {str(value)[:120]!r}.",
            field="onDependencyFailure",
        ) from None


def _checked_key(key: str | None) -> str | None:
    if key is not None and not KEY_PATTERN.fullmatch(key):
        raise BadInput(
            f"{key[:120]!r} is no key: use letters, digits and . _ : - (at most 100), beginning with a letter or digit.",
            field="key",
        )
    return key
