"""Expressions that several dashboards ask for. `@` stands for the chosen job."""

from __future__ import annotations

from .panels import Query

PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def rate(metric: str, legend: str, by: str = "") -> Query:
    """How often a counter of the cluster grows in a second."""
    return Query(f"max by ({by}) (rate({metric}{{@}}[$__rate_interval]))", legend)


def percentiles(histogram: str) -> list[Query]:
    """The median and the tail of a histogram of the cluster."""
    buckets = f"max by (le) (rate({histogram}_bucket{{@}}[$__rate_interval]))"
    return [Query(f"histogram_quantile({share}, {buckets})", name) for name, share in PERCENTILES.items()]


def spread(histogram: str) -> Query:
    """The observations of a histogram of the cluster, bucket by bucket."""
    return Query(f"max by (le) (increase({histogram}_bucket{{@}}[$__rate_interval]))", "{{le}}")


def of_queues(metric: str, legend: str = "{{queue}}") -> Query:
    """A gauge of the chosen queues."""
    return Query(f'max by (queue) ({metric}{{@, queue=~"$queue"}})', legend)
