"""A line of the log for every move of a task, once it is committed, and nothing where it is not asked for."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from dtq_site.foundation.causes import ActingFor, RequestCause
from tasks import lifecycle
from tasks.domain.outcome import OutcomeVerdict
from tasks.webhooks import outbox
from tests.support.factories import (
    after,
    claim,
    completed,
    create,
    discarded,
    failed,
    lease_of,
    reread,
    settle,
    waiting,
)

pytestmark = pytest.mark.usefixtures("committed_db")

SECRET = "swordfish"


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Any:
    """The lines that were written since it was last asked: level, event, facts."""
    caplog.set_level(logging.DEBUG, logger="dtq.tasks")

    def since() -> list[tuple[str, str, dict[str, Any]]]:
        found = [(record.levelname, dict(record.msg)) for record in caplog.records if record.name == "dtq.tasks"]
        caplog.clear()
        return [
            (level, facts.pop("event"), {key: value for key, value in facts.items() if key != "level"})
            for level, facts in found
        ]

    return since


def test_the_way_of_a_task_is_told_move_by_move(told: Any):
    with ActingFor(RequestCause("r-1")):
        task = create(queue="mail", payload={"word": SECRET})
    facts = {"task": str(task.pk), "name": "job", "queue": "mail", "request_id": "r-1"}
    assert told() == [("DEBUG", "task.created", {**facts, "attempt": 0})]

    (task,) = claim([task])
    settle(failed(lease_of(task), SECRET), now=after(1))
    lifecycle.promote(after(60))
    (task,) = claim([reread(task)], after(60))
    settle(completed(lease_of(task), {"word": SECRET}), now=after(61))

    first, second = {**facts, "attempt": 1}, {**facts, "attempt": 2}
    ready = {key: facts[key] for key in ("task", "name", "queue")}
    assert told() == [
        ("DEBUG", "task.claimed", first),
        ("INFO", "task.retried", first),
        ("DEBUG", "task.ready", ready),
        ("DEBUG", "task.claimed", second),
        ("DEBUG", "task.completed", second),
    ]


def test_what_ends_otherwise_is_louder(told: Any):
    dead, discards = claim([create(max_retries=0), create()])
    settle(failed(lease_of(dead)), discarded(lease_of(discards)), now=after(1))
    cancelled = create()
    lifecycle.cancel(cancelled.pk, after(2))

    ends = {(level, event, facts["task"]) for level, event, facts in told() if level != "DEBUG"}

    assert ends == {
        ("WARNING", "task.dead_lettered", str(dead.pk)),
        ("WARNING", "task.failed", str(discards.pk)),
        ("INFO", "task.cancelled", str(cancelled.pk)),
    }


def test_what_is_rolled_back_is_not_told(told: Any):
    with transaction.atomic():
        create()
        waiting()
        transaction.set_rollback(True)

    assert told() == []


def test_unasked_it_costs_no_query(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, logger="dtq.tasks")
    (first,), (second,) = claim([create()]), claim([create()])
    outbox.wanted()  # which is asked for now and then

    with CaptureQueriesContext(connection) as unasked:
        assert settle(completed(lease_of(first)), now=after(1)) == [OutcomeVerdict.ACCEPTED]
    caplog.set_level(logging.DEBUG, logger="dtq.tasks")
    with CaptureQueriesContext(connection) as asked:
        settle(completed(lease_of(second)), now=after(1))

    assert len(asked) == len(unasked) + 1
    assert [record.msg["event"] for record in caplog.records if record.name == "dtq.tasks"] == ["task.completed"]
