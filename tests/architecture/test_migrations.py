"""Migrations come in two steps: one release adds, and only the next one takes away what its predecessor does without."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import pytest
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from tests.support.releases import Release, last_release, releases
from tests.support.sources import PACKAGES, ROOT
from tests.support.two_steps import MARK, in_the_way

ID = ("id", models.AutoField(primary_key=True))


def key(on_delete: Any, **options: Any) -> models.ForeignKey:
    return models.ForeignKey("shop.Row", on_delete, **options)


ADDING = {
    "a table": migrations.CreateModel("Box", [ID]),
    "a column that may be null": migrations.AddField("row", "note", models.CharField(max_length=20, null=True)),
    "a column with a value of the database": migrations.AddField("row", "size", models.IntegerField(db_default=0)),
    "a key that many lack": migrations.AddField("row", "key", models.CharField(max_length=20, null=True, unique=True)),
    "a table between": migrations.AddField("row", "others", models.ManyToManyField("shop.Row", db_constraint=False)),
    "a table of rows that others must not lose": migrations.CreateModel("Box", [ID, ("row", key(models.PROTECT))]),
    "a table that does not hold what it names": migrations.CreateModel(
        "Box", [ID, ("row", key(models.CASCADE, db_constraint=False))]
    ),
    "an index": migrations.AddIndex("row", models.Index(fields=["name"], name="row_name")),
    "words for people": migrations.AlterField("row", "name", models.CharField(max_length=20, help_text="its name")),
    "longer values": migrations.AlterField("row", "name", models.CharField(max_length=30)),
    "a value for who leaves it out": migrations.AlterField(
        "row", "name", models.CharField(max_length=20, db_default="")
    ),
    "only what Django knows": migrations.SeparateDatabaseAndState([], [migrations.RemoveField("row", "name")]),
}
IN_THE_WAY = {
    "a column that must be given": migrations.AddField("row", "size", models.IntegerField(default=0)),
    "one key for all": migrations.AddField("row", "key", models.IntegerField(db_default=0, unique=True)),
    "a column less": migrations.RemoveField("row", "name"),
    "rows that can no longer be deleted": migrations.CreateModel("Box", [ID, ("row", key(models.CASCADE))]),
    "more such rows": migrations.AddField("row", "parent", key(models.SET_NULL, null=True)),
    "another name": migrations.RenameField("row", "name", "title"),
    "a table less": migrations.DeleteModel("Row"),
    "a table's other name": migrations.RenameModel("Row", "Line"),
    "shorter values": migrations.AlterField("row", "name", models.CharField(max_length=10)),
    "nulls where there were none": migrations.AlterField("row", "name", models.CharField(max_length=20, null=True)),
    "another type": migrations.AlterField("row", "name", models.TextField()),
    "a rule": migrations.AddConstraint("row", models.UniqueConstraint(fields=["name"], name="one_name")),
    "statements that nobody can judge": migrations.RunSQL("DELETE FROM shop_row"),
    "code that nobody can judge": migrations.RunPython(migrations.RunPython.noop),
    "what is hidden from Django": migrations.SeparateDatabaseAndState([migrations.RemoveField("row", "name")]),
}


def shop() -> ProjectState:
    """The state of an app `shop` with one table."""
    state = ProjectState()
    migrations.CreateModel("Row", [ID, ("name", models.CharField(max_length=20))]).state_forwards("shop", state)
    return state


def migration(*operations: Operation) -> Migration:
    made = Migration("0002_next", "shop")
    made.operations = list(operations)
    return made


@pytest.mark.parametrize("case", ADDING)
def test_what_only_adds_leaves_room(case: str):
    assert in_the_way(migration(ADDING[case]), shop(), set()) == []


@pytest.mark.parametrize("case", IN_THE_WAY)
def test_what_older_code_may_trip_over_is_found(case: str):
    assert len(in_the_way(migration(IN_THE_WAY[case]), shop(), set())) == 1


@pytest.mark.parametrize(
    "case", sorted(IN_THE_WAY.keys() - {"statements that nobody can judge", "code that nobody can judge"})
)
def test_a_table_that_older_code_does_not_know_may_change_in_every_way(case: str):
    assert in_the_way(migration(IN_THE_WAY[case]), shop(), {("shop", "row")}) == []


def test_releases_are_read_from_the_changelog():
    older, newer = "a" * 40, "b" * 40
    text = (
        f"## Unreleased\n\n## 0.2.0 — 2030-02-01\n\nCommit `{newer}`.\n\n## 0.1.0 — 2030-01-01\n\nCommit `{older}`.\n"
    )

    assert releases(text) == [Release("0.2.0", newer), Release("0.1.0", older)]


def test_migrations_since_the_last_release_leave_room_for_its_code():
    released = last_release()
    known, loader, new, found = released.migrations(), MigrationLoader(None), set(), []
    versions = {each.version for each in releases((ROOT / "docs" / "CHANGELOG.md").read_text())}

    for app, name in in_order(loader):
        path = PurePath(app, "migrations", f"{name}.py")
        if app not in PACKAGES or str(path) in known:
            continue
        each = loader.graph.nodes[app, name]
        before = loader.project_state((app, name), at_end=False)
        steps = in_the_way(each, before, new)
        if getattr(each, MARK, None) not in versions:
            found += [f"{path}: {step}" for step in steps]

    assert found == [], f"add first and take away a release later, or say {MARK} = a release: docs/UPGRADING.md"


def in_order(loader: MigrationLoader) -> list[tuple[str, str]]:
    """Every migration behind those that it needs."""
    ordered: dict[tuple[str, str], None] = {}
    for leaf in loader.graph.leaf_nodes():
        ordered |= dict.fromkeys(loader.graph.forwards_plan(leaf))
    return list(ordered)


def test_a_migration_that_was_released_is_never_changed():
    assert last_release().changed_migrations() == []
