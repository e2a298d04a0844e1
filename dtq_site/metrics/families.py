"""Families of samples, each made in one expression."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric


def gauge(name: str, text: str, value: float) -> Metric:
    """A gauge without labels."""
    return GaugeMetricFamily(name, text, value=value)


def gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """A gauge for each value of a label."""
    return _labelled(GaugeMetricFamily(name, text, labels=[label]), values)


def counter(name: str, text: str, value: float) -> Metric:
    """A counter without labels; Prometheus adds `_total` to its name."""
    return CounterMetricFamily(name, text, value=value)


def counters(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """A counter for each value of a label."""
    return _labelled(CounterMetricFamily(name, text, labels=[label]), values)


def _labelled(family: GaugeMetricFamily | CounterMetricFamily, values: Mapping[str, float]) -> Metric:
    for label, value in values.items():
        family.add_metric([label], value)
    return family
