"""What a line of the log says beside its event: of which process it is, and for whom the work is done."""

from __future__ import annotations

import contextvars
import io
import json
import logging
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from dtq_site.foundation import logging as lines
from dtq_site.foundation.causes import ActingFor, RequestCause
from dtq_site.foundation.logging import log_events, logging_config, say_always
from dtq_site.foundation.observer import Observer
from tasks.domain.lease import Lease, LeasedTask

LEASED = LeasedTask(
    Lease(UUID(int=1), 1, UUID(int=9)), "mail", {}, 2, 30.0, 15.0, False, UUID(int=7), queue="urgent", request_id="r-1"
)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """What has been written as JSON so far, without the time and the level."""
    monkeypatch.setattr(lines, "_of_this_process", {})
    form = logging_config("info", as_json=True, colours=False)["formatters"]["dtq"]
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(form["()"](processors=form["processors"], foreign_pre_chain=form["foreign_pre_chain"]))
    loggers = [logging.getLogger("dtq.test"), logging.getLogger("user")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel("INFO")
    yield lambda: [
        {key: value for key, value in json.loads(line).items() if key not in ("time", "level")}
        for line in stream.getvalue().splitlines()
    ]
    for logger in loggers:
        logger.removeHandler(handler)


def test_a_line_says_for_which_request_or_task_it_was_written_and_by_which_process(written: Any):
    observer = Observer(log_events("dtq.test"))
    say_always(worker="w-1")

    observer.emit("one")
    with ActingFor(RequestCause("r-2")):
        observer.emit("two", request_id="its own")
        with ActingFor(LEASED):
            observer.emit("three")
            logging.getLogger("user").warning("of a handler's own")
    observer.emit("four")

    task = {"task": str(UUID(int=1)), "name": "mail", "queue": "urgent", "attempt": 2, "request_id": "r-1"}
    assert written() == [
        {"event": "one", "worker": "w-1"},
        {"event": "two", "worker": "w-1", "request_id": "its own"},
        {"event": "three", "worker": "w-1", **task},
        {"event": "of a handler's own", "worker": "w-1", **task},
        {"event": "four", "worker": "w-1"},
    ]


def test_who_copies_a_context_goes_on_for_the_same_cause(written: Any):
    observer = Observer(log_events("dtq.test"))
    with ActingFor(RequestCause("r-3")):
        context = contextvars.copy_context()

    context.run(observer.emit, "later")

    assert written() == [{"event": "later", "request_id": "r-3"}]


@pytest.mark.parametrize(("task_level", "expected"), [("", "INFO"), ("debug", "DEBUG"), ("warning", "WARNING")])
def test_lines_about_moves_of_tasks_may_have_a_level_of_their_own(task_level: str, expected: str):
    loggers = logging_config("info", as_json=True, colours=False, task_level=task_level)["loggers"]

    assert (loggers["dtq"]["level"], loggers["dtq.tasks"]["level"]) == ("INFO", expected)
