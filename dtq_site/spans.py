"""Whether the spans of this process are gathered: if the environment names an exporter for them, as OpenTelemetry has it."""

from __future__ import annotations

from importlib.util import find_spec

from dtq_site.foundation import tracing
from dtq_site.foundation.logging import log_events
from dtq_site.foundation.observer import Observer
from dtq_site.options import SiteOptions

_observer = Observer(log_events("dtq.tracing", {"tracing.not_installed": "warning"}))


def gather_spans(site: SiteOptions) -> None:
    """Have spans gathered if that is asked for; else nothing of it is loaded. A process does its work with or without."""
    exporters = site.span_exporters
    if exporters and not _is_installed():
        _observer.emit(
            "tracing.not_installed",
            remedy="pip install -e '.[otel]' in DTQ's folder, or unset the variables OTEL_…",
        )
    elif exporters:
        tracing.trace_with(lambda: _open_telemetry(exporters))


def _is_installed() -> bool:
    try:
        return all(map(find_spec, ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")))
    except ModuleNotFoundError:
        return False


def _open_telemetry(exporters: tuple[str, ...]) -> tracing.Tracer:
    from dtq_site.telemetry import OpenTelemetryTracer

    return OpenTelemetryTracer(exporters)
