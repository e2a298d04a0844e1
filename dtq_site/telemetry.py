"""Spans gathered by OpenTelemetry. The only module that imports it: `spans.py` does not import this one unless it is wanted.

OpenTelemetry's own variables, which its SDK reads, say where the spans go, how many are kept, and what the service is called.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from dtq_site.foundation.tracing import Description
from dtq_site.foundation.version import VERSION

FLUSH_SECONDS = 3.0
"""How long the end of a process may be held up by a collector that does not answer."""

_EXPORTERS = {"otlp": OTLPSpanExporter, "console": ConsoleSpanExporter}
_HEADER = "traceparent"


class OpenTelemetryTracer:
    """A Tracer of the SDK, with a provider of its own: what handlers set up globally is theirs."""

    def __init__(self, exporters: Sequence[str]) -> None:
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        for name in exporters:
            self._provider.add_span_processor(BatchSpanProcessor(_EXPORTERS[name]()))
        self._tracer = self._provider.get_tracer("dtq", VERSION)
        self._propagator = TraceContextTextMapPropagator()
        atexit.register(self.flush)

    @contextmanager
    def span(self, description: Description) -> Iterator[_Span]:
        """See Tracer."""
        parent = description.parent
        context = None if parent is None else self._propagator.extract({_HEADER: parent})
        with self._tracer.start_as_current_span(
            description.name,
            context,
            trace.SpanKind[description.kind],
            description.attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield _Span(span)

    def traceparent(self) -> str | None:
        """See Tracer."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier.get(_HEADER)

    def flush(self) -> None:
        """See Tracer. The process ends after it: nothing is gathered any more."""
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(FLUSH_SECONDS)


class _Span:
    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def note(self, attributes: Mapping[str, Any]) -> None:
        """See Span."""
        self._span.set_attributes(attributes)

    def fail(self, kind: str) -> None:
        """See Span."""
        self._span.set_attribute("error.type", kind)
        self._span.set_status(trace.StatusCode.ERROR)


def _resource() -> Resource:
    """What the variables say of this service; its name is ours if they say none."""
    said = Resource.create({SERVICE_VERSION: VERSION})
    is_named = not str(said.attributes.get(SERVICE_NAME, "unknown_service")).startswith("unknown_service")
    return said if is_named else said.merge(Resource({SERVICE_NAME: "dtq"}))
