"""What clients learn of an exception, and what the log does."""

import pytest
from django.db import IntegrityError, OperationalError

from dtq_site.foundation.errors import Conflict, DTQError, Unavailable
from dtq_site.foundation.faults import Faults
from dtq_site.foundation.observer import Observer, Recorder


def test_an_error_of_ours_is_shown_as_it_is():
    recorder = Recorder()
    error = Conflict("It runs already.")

    assert Faults(Observer(recorder), lambda: "x").shown(error, "api.failed") is error
    assert recorder.events == []


@pytest.mark.parametrize(
    "error", [OperationalError(2006, "Server has gone away"), OperationalError("database is locked")], ids=str
)
def test_a_database_that_is_away_or_busy_is_unavailable_and_no_fault(error: Exception):
    recorder = Recorder()

    assert type(Faults(Observer(recorder), lambda: "x").shown(error, "api.failed")) is Unavailable
    assert recorder.events == []


@pytest.mark.parametrize("error", [KeyError("secret"), IntegrityError(1062, "secret"), DTQError("secret")], ids=repr)
def test_a_fault_is_masked_and_emitted_under_the_id_that_is_shown(error: Exception):
    recorder = Recorder()

    shown = Faults(Observer(recorder), lambda: "error-id").shown(error, "api.failed", path="/x")

    assert (shown.code, shown.message) == ("INTERNAL", "Something went wrong on our side.")
    assert shown.details == {"id": "error-id"}
    (event,) = recorder.events
    assert event.name == "api.failed"
    assert {name: event.facts[name] for name in ("id", "path", "error")} == {
        "id": "error-id",
        "path": "/x",
        "error": repr(error),
    }
    assert "secret" in event.facts["trace"]
