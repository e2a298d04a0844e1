"""Each model's rows are written by one module, and the reader that proves it catches whoever else tries."""

from __future__ import annotations

import re

import pytest
from django.db import connection

from tests.support.sources import PACKAGES, ROOT, python_files
from tests.support.write_guard import ForeignWriteError
from tests.support.writers import OWNERS, Model, project_models, violations

ROW = Model("shop.Row", "shop_row", frozenset({"id", "name", "state"}), {"box": "shop.Box", "notes": "shop.Note"})
BOX = Model("shop.Box", "shop_box", frozenset({"id", "label"}), {"rows": "shop.Row"})
NOTE = Model("shop.Note", "shop_note", frozenset({"id", "text"}), {"row": "shop.Row"})
SHOP = [ROW, BOX, NOTE]
SHOP_OWNERS = {"shop.Row": "shop/rows.py", "shop.Box": "shop/boxes.py", "shop.Note": "shop/rows.py"}

CAUGHT = {
    "manager": ("Row.objects.create(name='a')", "shop.Row"),
    "chain": ("Row.objects.filter(id=1).exclude(name='b').update(state=2)", "shop.Row"),
    "base manager": ("Row._base_manager.all().delete()", "shop.Row"),
    "module attribute": ("models.Row.objects.bulk_create([])", "shop.Row"),
    "asynchronous": ("async def f():\n    await Row.objects.acreate(name='a')", "shop.Row"),
    "name for a queryset": ("def f():\n    found = Row.objects.filter(id=1)\n    found.update(state=2)", "shop.Row"),
    "name for a manager": ("def f():\n    rows = Row.objects\n    rows.create(name='a')", "shop.Row"),
    "two names": ("def f():\n    a = Row.objects.all()\n    b = a.filter(id=1)\n    b.delete()", "shop.Row"),
    "instance": ("def f():\n    row = Row(name='a')\n    row.save()", "shop.Row"),
    "fetched": (
        "def f():\n    row = Row.objects.get(id=1)\n    row.state = 2\n    row.save()",
        "shop.Row",
    ),
    "argument": ("def f(row: Row):\n    row.delete()", "shop.Row"),
    "optional argument": ("def f(row: 'Row | None'):\n    row.save()", "shop.Row"),
    "list argument": ("def f(rows: list[Row]):\n    for row in rows:\n        row.save()", "shop.Row"),
    "loop": ("def f():\n    for row in Row.objects.all():\n        row.delete()", "shop.Row"),
    "walrus": ("def f():\n    if row := Row.objects.first():\n        row.delete()", "shop.Row"),
    "comprehension": ("def f():\n    return [row.delete() for row in Row.objects.all()]", "shop.Row"),
    "reverse relation": ("def f(box: Box):\n    box.rows.update(state=1)", "shop.Row"),
    "forward relation": ("def f(row: Row):\n    row.box.save()", "shop.Box"),
    "registry": ("apps.get_model('shop', 'Row').objects.update(state=1)", "shop.Row"),
    "class call": ("def f(row):\n    Row.save(row)", "shop.Row"),
    "behaviour in a model": ("class Row(Model):\n    def close(self):\n        self.save()", "shop.Row"),
    "unknown save": ("def f(thing):\n    thing.save()", None),
    "unknown delete": ("def f(things):\n    things.delete()", None),
    "unknown update": ("def f(things):\n    things.update(state=1)", None),
    "sql": ("def f(c):\n    c.execute('UPDATE shop_row SET state=1')", "shop.Row"),
    "quoted sql": ("def f(c):\n    c.execute('insert into `shop_row` values (1)')", "shop.Row"),
    "sql of a table's name": ("def f(c):\n    c.execute(f'DELETE FROM {Row._meta.db_table}')", "shop.Row"),
    "sql of a name": ("def f(c):\n    t = Row._meta.db_table\n    c.execute(f'UPDATE {t} SET state=1')", "shop.Row"),
    "sql of anything": ("def f(c, t):\n    c.execute(f'UPDATE {t} SET state=1')", None),
}
ALLOWED = {
    "reading": "Row.objects.filter(id=1).values_list('id')",
    "a dictionary": "def f(seen, more):\n    seen.update(more)\n    seen.update(colour=1)",
    "a word of the language": "def f():\n    word = 'a' if x else 'is'\n    word.update(colour=1)",
    "another class of that name": "types.Row._meta.fields.update(more)",
    "a digest": "hashlib.sha256().update(b'x')",
    "redis": "def f(client):\n    client.delete('key')",
    "http": "def f(client):\n    client.delete('https://host/')",
    "reading by sql": "def f(c):\n    c.execute('SELECT id FROM shop_row FOR UPDATE')",
    "prose": "def f():\n    '''UPDATE shop_row is what the owner does.'''",
    "a verb of the owner": "lifecycle.create([])",
}


@pytest.mark.parametrize("case", CAUGHT)
def test_a_write_outside_of_its_owner_is_caught(case: str) -> None:
    source, label = CAUGHT[case]

    assert label in {each.label for each in violations(source, "shop/elsewhere.py", SHOP, SHOP_OWNERS)}


@pytest.mark.parametrize("case", CAUGHT)
def test_an_owner_of_the_rows_may_write_them(case: str) -> None:
    source, label = CAUGHT[case]

    assert violations(source, SHOP_OWNERS[label or "shop.Row"], SHOP, SHOP_OWNERS) == []


def test_an_owner_of_other_rows_may_not() -> None:
    found = violations("Row.objects.create(name='a')", "shop/boxes.py", SHOP, SHOP_OWNERS)

    assert [(each.line, each.label) for each in found] == [(1, "shop.Row")]


@pytest.mark.parametrize("case", ALLOWED)
def test_what_writes_no_row_is_left_alone(case: str) -> None:
    assert violations(ALLOWED[case], "shop/elsewhere.py", SHOP, SHOP_OWNERS) == []


def test_every_model_has_an_owner_and_every_owner_exists() -> None:
    assert {model.label for model in project_models()} == set(OWNERS)
    assert [owner for owner in OWNERS.values() if not (ROOT / owner).exists()] == []


@pytest.mark.parametrize("path", [str(path) for path in python_files()])
def test_rows_are_written_by_their_owner_alone(path: str) -> None:
    found = violations((ROOT / path).read_text(), path, project_models(), OWNERS)

    assert [f"{path}:{each.line} writes {each.label or 'rows of some model'}: {each.code}" for each in found] == []


def test_no_sql_file_writes_a_table_of_ours() -> None:
    tables = {model.table for model in project_models()}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.sql"):
            assert not tables & set(re.findall(r"\w+", path.read_text())), path


def test_the_guard_refuses_a_statement_that_runs_outside_of_its_owner(db: None) -> None:
    code = compile("cursor.execute('DELETE FROM tasks_task')", str(ROOT / "tasks" / "selectors.py"), "exec")

    with (
        connection.cursor() as cursor,
        pytest.raises(ForeignWriteError, match=r"tasks/selectors\.py wrote tasks\.Task"),
    ):
        exec(code, {"cursor": cursor})


def test_the_guard_lets_the_owner_and_the_tests_write(db: None) -> None:
    code = compile(
        "cursor.execute('DELETE FROM tasks_task')", str(ROOT / "tasks" / "lifecycle" / "requests.py"), "exec"
    )

    with connection.cursor() as cursor:
        exec(code, {"cursor": cursor})
        cursor.execute("DELETE FROM tasks_task")
