"""`worker_store` says what lies on the disk: at any moment, of files that others hold or that are damaged, without a server."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from dtq_site.foundation.clock import LeaseTimer
from tests.support.processes import ROOT
from tests.unit.workers.making import claimed, creation, lease, make_folder, note, outcome
from workers.offline.contents import describe


def test_every_thing_that_is_kept_has_its_line_while_its_file_is_held(path):
    store = make_folder(path)[0].new_store()
    monotonic, boot, wall = LeaseTimer.sent_at()
    store.hold([claimed(1)], (monotonic, boot, wall))
    store.hold([claimed(2)], (monotonic - 100, boot - 100, wall - 100))
    store.begin([lease(2)])
    store.keep([outcome(3)], [note(3)])
    store.request([creation("key")])

    head, *lines = describe(path)

    assert head == (f"{store.path}: 2 tasks held, 1 outcomes to report, 1 log lines, 1 tasks to create")
    assert lines == [
        f"  held      {lease(1).task_id} job: not begun, lease for 15 s",
        f"  held      {lease(2).task_id} job: begun, lease ended 85 s ago",
        f"  outcome   {lease(3).task_id} COMPLETED",
        f"  to create key job, asked for at {datetime(2030, 1, 1, 12, tzinfo=UTC).isoformat()}",
    ]


def test_a_file_that_cannot_be_read_is_told_and_hides_no_other(path):
    folder, _ = make_folder(path)
    folder.new_store().close()
    folder.new_store().keep([outcome(1)], [])
    (path / "outbox-0.sqlite3").write_bytes(b"no database at all" * 100)

    broken, head, _ = describe(path)

    assert broken == f"{path}/outbox-0.sqlite3: cannot be read: file is not a database"
    assert head == f"{path}/outbox-1.sqlite3: 1 outcomes to report"


OUTCOME = f"INSERT INTO outcome VALUES (1, '{UUID(int=3)}', 3, '{UUID(int=4)}', 'FAILED', 1, 'null', 'no', NULL)"
REQUEST = '{"name": "job", "payload": {}, "depends_on": []}'
CREATION = f"INSERT INTO creation VALUES (1, 'key', '{REQUEST}', '2030-01-01', NULL)"


@pytest.mark.parametrize(("version", "row", "said"), [(1, OUTCOME, "outcome"), (2, CREATION, "to create key job")])
def test_a_file_of_an_earlier_version_is_read_and_left_as_it_is(path, version, row, said):
    path.mkdir()
    names = ["schema.sql", "schema_2.sql"][:version]
    steps = "".join((ROOT / "workers/offline" / name).read_text() for name in names)
    with closing(sqlite3.connect(path / "outbox-0.sqlite3")) as connection:
        connection.executescript(f"{steps} {row}; PRAGMA user_version = {version};")
    before = (path / "outbox-0.sqlite3").read_bytes()

    head, line = describe(path)

    assert "cannot be read" not in head and line.strip().startswith(said)
    assert (path / "outbox-0.sqlite3").read_bytes() == before


def test_where_nothing_is_kept_it_says_so_and_makes_nothing(path):
    assert describe(path) == [f"{path}: nothing is kept"]
    assert not path.exists()


def run_manage(tmp_path: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """manage.py in an environment that knows no server, no secret and no Django."""
    (tmp_path / "django.py").write_text("raise ImportError('there is no Django here')\n")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(tmp_path), **variables}
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)


def test_the_command_needs_neither_django_nor_a_server(tmp_path):
    shown = run_manage(tmp_path, "worker_store")

    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout == f"{tmp_path}/.dtq/worker: nothing is kept\n"


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        ([], {}, "give it a token"),
        (["--token-file", "nowhere"], {}, "the token cannot be read from nowhere"),
        ([], {"DTQ_TOKEN": "t"}, "no handlers were found"),
        ([], {"DTQ_TOKEN": "t", "DTQ_HANDLERS": "no_such"}, "there is no such module"),
        (["--offline-for", "1s"], {"DTQ_TOKEN": "t"}, "--offline-for must be from 15s to 24d"),
        (["--offline-for", "soon"], {"DTQ_TOKEN": "t"}, "write a number and a unit"),
        (["--prefetch", "-1"], {"DTQ_TOKEN": "t"}, "--prefetch must be from 0 to 10000, not -1"),
        (["--queues", "a b"], {"DTQ_TOKEN": "t"}, "'a b'"),
        (["--server", "dtq.example.com"], {"DTQ_TOKEN": "t"}, "write it like https://dtq.example.com/graphql"),
        ([], {"DTQ_PREFETCH": "many"}, "DTQ_PREFETCH='many' is not allowed: write a whole number"),
    ],
)
def test_a_worker_that_lacks_something_says_what_and_how_to_mend_it(tmp_path, arguments, variables, said):
    refused = run_manage(tmp_path, "runworker", *arguments, DTQ_SERVER="http://127.0.0.1:1/graphql", **variables)

    assert refused.returncode in (1, 2)
    assert said in refused.stderr and "Traceback" not in refused.stderr
    assert not (tmp_path / ".dtq").exists()
