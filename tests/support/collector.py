"""A tiny OpenTelemetry collector: takes what exporters send by OTLP over HTTP, and keeps the spans."""

from __future__ import annotations

import gzip
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.support.waiting import eventually


@dataclass(frozen=True)
class GatheredSpan:
    """A span as it came over the wire, its ids in hexadecimal."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    is_error: bool
    service: str


class Collector:
    """Listens on a port of 127.0.0.1 until it is closed."""

    def __init__(self) -> None:
        self.spans: list[GatheredSpan] = []
        self.requests = 0
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                is_packed = self.headers.get("Content-Encoding") == "gzip"
                collector._take(self.path, gzip.decompress(body) if is_packed else body)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """The value for OTEL_EXPORTER_OTLP_ENDPOINT."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()

    def of_trace(self, trace_id: str, count: int) -> dict[str, GatheredSpan]:
        """The spans of a trace, by their ids, once there are so many."""

        def gathered() -> dict[str, GatheredSpan]:
            found = {span.span_id: span for span in self.spans if span.trace_id == trace_id}
            assert len(found) == count, sorted(span.name for span in found.values())
            return found

        return eventually(gathered, 20)

    def _take(self, path: str, body: bytes) -> None:
        assert path == "/v1/traces"
        self.requests += 1
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _attributes(resource.resource.attributes)["service.name"]
            self.spans += [_read(span, service) for scope in resource.scope_spans for span in scope.spans]


def _read(span: WireSpan, service: str) -> GatheredSpan:
    return GatheredSpan(
        span.name,
        WireSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        _attributes(span.attributes),
        span.status.code == Status.STATUS_CODE_ERROR,
        service,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
