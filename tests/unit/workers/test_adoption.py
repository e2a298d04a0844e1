"""What a dead process held: what had not begun is run here, what had is given up, and what it knew is told."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from uuid import UUID

import pytest

from dtq_site.foundation.observer import Observer, Recorder
from tests.unit.workers.heirs import left_by_the_dead
from tests.unit.workers.making import files_in, in_a_process_that_is_killed, lease, make_folder, outcome
from workers.offline.journal import Journal
from workers.offline.rows import AskedClaim
from workers.transports.base import Unreachable


def test_what_had_not_begun_is_run_and_what_had_is_given_up(heir, path):
    left_by_the_dead(path, 1, 2, 3, begun=[2])

    heir.inherit()

    assert heir.runs == [1, 3]
    assert heir.server.told == [("forfeit", [2])]
    assert heir.adopted[0].task.lease_seconds == 900.0
    assert heir.inheritance.caught_up


def test_what_the_server_has_given_to_others_meanwhile_is_not_run(heir, path):
    left_by_the_dead(path, 1, 2)
    heir.server.gone = {lease(1)}

    heir.inherit()

    assert heir.runs == [2]


def test_without_the_server_it_is_run_by_its_own_clock_and_the_rest_is_told_later(heir, path):
    left_by_the_dead(path, 1, 2, begun=[2])
    heir.server.away = True

    with pytest.raises(Unreachable):
        heir.inherit()

    assert (heir.runs, heir.adopted[0].task.lease_seconds) == ([1], 15.0)
    assert not heir.inheritance.caught_up
    heir.server.away = False
    heir.inherit()
    assert (heir.runs, heir.server.told) == ([1], [("forfeit", [2])])


def test_one_that_must_be_known_to_begin_is_given_back(heir, path):
    left_by_the_dead(path, 1, 2, first=[1])

    heir.inherit()

    assert (heir.runs, heir.server.told) == ([2], [("release", [1])])


@pytest.mark.parametrize("change", ["UPDATE origin SET boot = 'the one before'", "DROP TABLE origin"])
def test_after_another_start_of_the_host_nothing_is_run_before_the_server_has_said_that_its_lease_holds(
    heir, path, change
):
    left_by_the_dead(path, 1, 2, 3, begun=[3])
    with closing(sqlite3.connect(path / "outbox-0.sqlite3", isolation_level=None)) as connection:
        connection.execute(change)
    in_a_process_that_is_killed(lambda: make_folder(path)[0].new_store().keep([outcome(4)], []))
    heir.server.away = True
    for _ in range(2):
        with pytest.raises(Unreachable):
            heir.inherit()
    assert (heir.runs, heir.inheritance.caught_up) == ([], False)
    heir.server.away, heir.server.gone = False, {lease(2)}

    heir.inherit()

    assert (heir.runs, heir.adopted[0].task.lease_seconds) == ([1], 900.0)
    assert heir.server.told == [("forfeit", [3]), ("release", [2]), ("report", [4])]


@pytest.mark.parametrize("why", ["given_up", "unknown"], ids=["was being given back", "its handler is unknown"])
def test_what_must_not_be_run_is_not_even_while_the_server_is_away_but_given_back(heir, path, why: str):
    left_by_the_dead(path, 1, 2, **{why: [1]})
    heir.server.away = True
    with pytest.raises(Unreachable):
        heir.inherit()
    assert heir.runs == [2]
    heir.server.away = False

    heir.inherit()

    assert (heir.runs, heir.server.told) == ([2], [("release", [1])])


def test_one_whose_outcome_is_kept_is_delivered_and_never_run_again(heir, path):
    left_by_the_dead(path, 1, 2)
    in_a_process_that_is_killed(lambda: make_folder(path)[0].new_store().keep([outcome(1)], []))

    heir.inherit()

    assert heir.runs == [2]
    assert heir.server.told == [("report", [1])]


def test_the_claim_that_a_dead_process_had_sent_is_undone_once_and_its_file_goes(heir, path):
    asked = AskedClaim(UUID(int=5), UUID(int=6))

    def ask_and_die() -> None:
        Journal(Observer(Recorder()), make_folder(path)[0]).ask(asked)

    in_a_process_that_is_killed(ask_and_die)
    heir.server.away = True
    with pytest.raises(Unreachable):
        heir.inherit()
    heir.server.away = False

    heir.inherit()
    heir.inherit()

    assert heir.server.undone == [asked]
    assert files_in(path) == []


def test_how_far_the_dead_were_is_told_before_their_outcomes(heir, path):
    in_a_process_that_is_killed(lambda: make_folder(path)[0].new_store().keep([outcome(1)], [], {lease(2): 70}))

    heir.inherit()

    assert heir.server.told == [("progress", [2]), ("report", [1])]
    assert files_in(path) == []
