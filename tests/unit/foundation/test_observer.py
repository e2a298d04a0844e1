"""Events reach those who want them, and those who make them can ask first."""

from __future__ import annotations

import logging

import pytest

from dtq_site.foundation.logging import log_events
from dtq_site.foundation.observer import Event, Observer, Recorder


class Choosy(Recorder):
    """Wants events of one name."""

    def wants(self, name: str) -> bool:
        return name == "wanted"


def test_an_event_reaches_every_listener_that_wants_it_in_their_order():
    everything, choosy = Recorder(), Choosy()
    observer = Observer(everything, choosy)

    observer.emit("wanted", number=1)
    observer.emit("other", number=2)

    assert everything.events == [Event("wanted", {"number": 1}), Event("other", {"number": 2})]
    assert choosy.events == [Event("wanted", {"number": 1})]


def test_an_observer_hears_what_any_listener_wants():
    assert not Observer().hears("wanted")
    assert Observer(Choosy()).hears("wanted") and not Observer(Choosy()).hears("other")
    assert Observer(Choosy(), Recorder()).hears("other")


@pytest.mark.parametrize(
    ("level", "wanted"),
    [
        (logging.DEBUG, ["plain", "trace", "it.failed"]),
        (logging.INFO, ["plain", "it.failed"]),
        (logging.ERROR, ["it.failed"]),
    ],
)
def test_log_lines_are_wanted_as_far_as_the_logger_writes_them(caplog, level, wanted):
    logger = logging.getLogger("dtq.test.observer")
    caplog.set_level(level, logger=logger.name)
    observer = Observer(log_events(logger.name, {"trace": "debug"}))

    for name in ("plain", "trace", "it.failed"):
        observer.emit(name, number=1)

    assert [name for name in ("plain", "trace", "it.failed") if observer.hears(name)] == wanted
    assert [record.msg["event"] for record in caplog.records] == wanted
    assert {record.msg["number"] for record in caplog.records} == {1}
