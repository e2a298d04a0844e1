"""Whether a migration leaves room for the code of the release before it, which goes on over the new tables during an upgrade.

What such code does not know must not be in its way: it names the columns that it writes, expects of those that it knows what
it has always found there, and deletes rows without knowing who else points to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.db import models
from django.db.migrations import AddField, AddIndex, AlterField, AlterModelManagers, AlterModelOptions, CreateModel
from django.db.migrations.migration import Migration
from django.db.migrations.operations import SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.migrations.utils import resolve_relation

MARK = "unused_since"
"""The attribute of a migration that takes something away: the release whose code did without it already."""

Table = tuple[str, str]

_LOOSER: dict[str, Callable[[Any, Any], bool]] = {
    "max_length": lambda before, after: after > before,
    "db_default": lambda before, after: before is None,
}


def in_the_way(migration: Migration, before: ProjectState, new: set[Table]) -> list[str]:
    """What of a migration may be in the way of code that does not know it, in words.

    `before` is the state that it starts from. `new` has the tables that came after that code, which it cannot miss; those
    that this migration makes are added.
    """
    state, found = before.clone(), []
    for operation in migration.operations:
        steps = _database_steps(operation)
        found += [each.describe() for each in steps if not _leaves_room(each, migration.app_label, state, new)]
        operation.state_forwards(migration.app_label, state)
    return found


def _database_steps(operation: Operation) -> Iterator[Operation]:
    if isinstance(operation, SeparateDatabaseAndState):
        for inner in operation.database_operations:
            yield from _database_steps(inner)
    else:
        yield operation


def _leaves_room(operation: Operation, app: str, state: ProjectState, new: set[Table]) -> bool:
    table = (app, getattr(operation, "model_name_lower", getattr(operation, "name_lower", "")))
    if isinstance(operation, CreateModel):
        new.add(table)
        return not any(_holds_fast(field, app, new) for _, field in operation.fields)
    if isinstance(operation, AddField) and _holds_fast(operation.field, app, new):
        return False
    if table in new or isinstance(operation, AddIndex | AlterModelOptions | AlterModelManagers):
        return True
    if isinstance(operation, AddField):
        return _may_be_left_out(operation.field)
    if isinstance(operation, AlterField):
        return _only_loosens(state.models[table].fields[operation.name], operation.field)
    return False


def _holds_fast(field: models.Field, app: str, new: set[Table]) -> bool:
    """Whether the database would refuse to delete a row that older code may delete: what points to it must go first."""
    if not field.is_relation or resolve_relation(field.remote_field.model, app, "") in new:
        return False
    if field.many_to_many:
        return bool(field.remote_field.db_constraint)
    return field.db_constraint and field.remote_field.on_delete not in (models.PROTECT, models.RESTRICT)


def _may_be_left_out(field: models.Field) -> bool:
    """Whether rows can be inserted without it, any number of them."""
    if field.many_to_many:
        return True
    return not field.unique if field.has_db_default() else field.null


def _only_loosens(before: models.Field, after: models.Field) -> bool:
    _, kind, values, old = before.deconstruct()
    _, new_kind, new_values, new = after.deconstruct()
    if (kind, values) != (new_kind, new_values):
        return False
    changed = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
    seen = changed - {*before.non_db_attrs, "default"}
    return all(key in _LOOSER and _LOOSER[key](old.get(key), new.get(key)) for key in seen)
