"""When spans are gathered, and what those of creations say."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

import pytest

from dtq_site import spans
from dtq_site.foundation import tracing
from dtq_site.foundation.options import OptionsError, load
from dtq_site.options import SiteOptions
from tasks.domain.spans import sending
from tasks.domain.submission import NewTask, TaskSpec

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}
TEAM = UUID(int=7)


@pytest.mark.parametrize(
    ("variables", "exporters"),
    [
        ({}, ()),
        (ENDPOINT, ("otlp",)),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4318/v1/traces"}, ("otlp",)),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, ("otlp",)),
        ({"OTEL_TRACES_EXPORTER": "console,otlp"}, ("console", "otlp")),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, ()),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "true"}, ()),
    ],
)
def test_the_usual_variables_decide_whether_and_how_spans_are_exported(
    variables: dict[str, str], exporters: tuple[str, ...]
):
    assert load(SiteOptions, variables).span_exporters == exporters


def test_an_exporter_that_there_is_not_stops_the_start():
    with pytest.raises(OptionsError) as refused:
        load(SiteOptions, {"OTEL_TRACES_EXPORTER": "zipkin"})

    (problem,) = refused.value.problems
    assert problem.startswith("OTEL_TRACES_EXPORTER='zipkin' is not allowed: zipkin: name otlp, console or none")


def test_without_the_extra_a_process_says_so_and_does_its_work(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    chosen: list[Any] = []
    monkeypatch.setattr(spans, "find_spec", lambda name: None)
    monkeypatch.setattr(tracing, "trace_with", chosen.append)

    with caplog.at_level(logging.INFO, logger="dtq.tracing"):
        spans.gather_spans(load(SiteOptions, {}))
        assert caplog.records == []
        spans.gather_spans(load(SiteOptions, ENDPOINT))

    (line,) = caplog.records
    assert (line.levelname, line.msg["event"], chosen) == ("WARNING", "tracing.not_installed", [])


def new(name: str, queue: str) -> NewTask:
    return NewTask(TaskSpec(name, name, "", {"a": "secret"}, queue, 5, 3, 60.0), TEAM, None)


@pytest.mark.parametrize(
    ("made", "name", "attributes"),
    [
        (
            [new("job", "mail")],
            "send mail",
            {"messaging.destination.name": "mail", "dtq.task.name": "job", "messaging.message.id": str(UUID(int=1))},
        ),
        (
            [new("job", "mail"), new("job", "mail")],
            "send mail",
            {"messaging.destination.name": "mail", "dtq.task.name": "job", "messaging.batch.message_count": 2},
        ),
        ([new("job", "mail"), new("other", "post")], "send", {"messaging.batch.message_count": 2}),
    ],
)
def test_a_creation_says_what_its_tasks_have_in_common(made: list[NewTask], name: str, attributes: dict[str, Any]):
    description = sending(made, [UUID(int=number + 1) for number in range(len(made))])

    operation = {"messaging.system": "dtq", "messaging.operation.name": "send", "messaging.operation.type": "send"}
    assert (description.name, description.attributes, description.parent) == (name, operation | attributes, None)
