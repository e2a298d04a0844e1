"""Which server a file is for: what is kept for one is never told to another, and waits for its own."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.workers.heirs import Heir
from tests.unit.workers.making import (
    creation,
    files_in,
    in_a_process_that_is_killed,
    make_folder,
    outcome,
)
from workers.client import Client
from workers.offline.contents import describe

OURS, THEIRS = "https://dtq.example.com/graphql", "https://other.example.com/graphql"


def left_for(server: str, path: Path, *numbers: int) -> None:
    """Have a worker of that server keep outcomes in a file of its own, and be killed."""
    in_a_process_that_is_killed(
        lambda: make_folder(path, server=server)[0].new_store().keep([outcome(number) for number in numbers], [])
    )


def change(path: Path, statement: str) -> None:
    """Do to the file at that path what a person may do."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)


def test_what_was_done_for_another_server_is_not_told_to_this_one_and_waits_for_its_own(path):
    left_for(THEIRS, path, 1)
    left_for(OURS, path, 2)
    left_for(THEIRS, path, 3)
    kept = [(path / f"outbox-{number}.sqlite3").read_bytes() for number in (0, 2)]
    heir = Heir(path, OURS)

    for _ in range(2):
        heir.inheritance._look_at = 0.0
        heir.inherit()

    assert heir.server.told == [("report", [2])]
    assert heir.inheritance.caught_up
    assert [(path / name).read_bytes() for name in files_in(path)] == kept
    (event,) = heir.heard.named("outbox.other_server")
    assert event.facts == {"files": 2, "servers": THEIRS, "folder": str(path)}
    theirs = Heir(path, THEIRS)
    theirs.inherit()
    assert theirs.server.told == [("report", [1]), ("report", [3])]
    assert files_in(path) == []


def test_a_number_that_another_server_s_file_had_is_looked_at_again(path):
    left_for(THEIRS, path, 1)
    folder, _ = make_folder(path, server=OURS)
    assert folder.inherit() is None
    (path / "outbox-0.sqlite3").unlink()
    left_for(OURS, path, 2)

    found = folder.inherit()

    assert found is not None and found.outcomes(10) == [outcome(2)]


def test_what_a_script_has_asked_of_another_server_is_not_created_on_this_one(path):
    asked = replace(creation("a"), parent=None)
    in_a_process_that_is_killed(lambda: make_folder(path, server=THEIRS)[0].new_store().request([asked]))
    with closing(Client("http://127.0.0.1:1/graphql", "token", store=path)) as client:
        assert client.deliver()  # it has asked nobody: there is nothing for that server

    store = make_folder(path, server=THEIRS)[0].inherit()

    assert store is not None and store.creations(10) == [asked]


@pytest.mark.parametrize(
    "address",
    [
        "https://dtq.example.com/graphql/",
        "https://DTQ.example.com:443/graphql",
        "HTTPS://ann:secret@dtq.example.com/graphql?token=secret",
    ],
)
def test_one_address_written_in_two_ways_is_one_server_and_no_secret_is_written_down(path, address):
    left_for(address, path, 1)
    assert describe(path)[0] == f"{path}/outbox-0.sqlite3, for {OURS}: 1 outcomes to report"

    store = make_folder(path, server=OURS)[0].inherit()

    assert store is not None and store.outcomes(10) == [outcome(1)]


@pytest.mark.parametrize(
    "address",
    ["http://dtq.example.com/graphql", "https://dtq.example.com:8443/graphql", "https://dtq.example.com/two/graphql"],
)
def test_another_scheme_port_or_path_is_another_server(path, address):
    left_for(address, path, 1)

    assert make_folder(path, server=OURS)[0].inherit() is None


def test_a_file_of_a_version_that_noted_no_server_is_anybody_s(path):
    left_for(THEIRS, path, 1)
    change(path / "outbox-0.sqlite3", "DROP TABLE origin")
    heir = Heir(path, OURS)

    heir.inherit()

    assert heir.server.told == [("report", [1])]
    assert heir.heard.named("outbox.other_server") == []


def test_when_a_server_has_moved_its_files_can_be_given_to_the_new_address(path):
    left_for(THEIRS, path, 1)
    change(path / "outbox-0.sqlite3", f"UPDATE origin SET server = '{OURS}'")
    heir = Heir(path, OURS)

    heir.inherit()

    assert (heir.server.told, files_in(path)) == ([("report", [1])], [])
