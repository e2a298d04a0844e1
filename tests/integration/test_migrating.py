"""The time limit of statements: there in everyday work, lifted while migrations run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.models.signals import pre_migrate

from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.connections import is_unavailable

pytestmark = [
    pytest.mark.usefixtures("committed_db"),
    pytest.mark.skipif("connection.vendor != 'mysql'", reason="SQLite waits for no server"),
]


@pytest.fixture
def limited() -> Iterator[None]:
    """A limit of a second, for the connections to come."""
    options = connection.settings_dict["OPTIONS"]
    before = options["read_timeout"]
    connection.close()
    options["read_timeout"] = 1
    yield
    options["read_timeout"] = before


def sleep_for_two_seconds() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT SLEEP(2)")


def test_a_statement_without_an_answer_counts_as_the_server_s_absence(limited: None):
    started = elapsed_clock()

    with pytest.raises(OperationalError) as refusal:
        sleep_for_two_seconds()

    assert is_unavailable(refusal.value)
    assert elapsed_clock() - started < 1.9


def test_while_migrations_run_statements_may_take_longer_and_afterwards_not(limited: None):
    heard = []

    def listen(sender: object, **_: object) -> None:
        if sender.name == "tasks":
            sleep_for_two_seconds()
            heard.append(sender.name)

    pre_migrate.connect(listen)
    try:
        call_command("migrate", verbosity=0)
    finally:
        pre_migrate.disconnect(listen)

    assert heard == ["tasks"]
    assert connection.settings_dict["OPTIONS"]["read_timeout"] == 1
    with pytest.raises(OperationalError):
        sleep_for_two_seconds()
