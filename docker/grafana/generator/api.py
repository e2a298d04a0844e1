"""How do the API, the database, Redis and the processes do?"""

from __future__ import annotations

from .dashboard import Choice, Dashboard
from .expressions import PERCENTILES, rate
from .panels import GREEN, RED, UP_OR_DOWN, YELLOW, Figure, Heat, Lines, Query

HERE = '{@, instance=~"$instance"}'


def _rate(metric: str, legend: str, by: str = "") -> Query:
    return Query(f"sum by ({by}) (rate({metric}{HERE}[$__rate_interval]))", legend)


def _percentiles(histogram: str) -> list[Query]:
    buckets = f"sum by (le) (rate({histogram}_bucket{HERE}[$__rate_interval]))"
    return [Query(f"histogram_quantile({share}, {buckets})", name) for name, share in PERCENTILES.items()]


def _spread(histogram: str) -> Query:
    return Query(f"sum by (le) (increase({histogram}_bucket{HERE}[$__rate_interval]))", "{{le}}")


_NOW = (
    Figure("API", "Whether every process answers Prometheus.", [Query(f"min(up{HERE})")], "none", words=UP_OR_DOWN),
    Figure(
        "Database",
        "Whether every process reaches the database.",
        [Query(f"min(dtq_database_up{HERE})")],
        "none",
        words=UP_OR_DOWN,
    ),
    Figure(
        "Redis", "Whether every process reaches Redis.", [Query(f"min(dtq_redis_up{HERE})")], "none", words=UP_OR_DOWN
    ),
    Figure(
        "Requests a second",
        "HTTP requests, those of Prometheus and of probes too.",
        [_rate("django_http_requests_before_middlewares_total", "requests")],
        "reqps",
    ),
    Figure("Open WebSockets", "Signed in.", [Query(f"sum(dtq_sockets_open{HERE})")], "short"),
    Figure("Subscriptions", "That are fed now.", [Query(f"sum(dtq_subscriptions_open{HERE})")], "short"),
)

_API = (
    Lines(
        "Requests a second by view",
        "Requests that reached a view. GraphQL is one view.",
        [_rate("django_http_requests_total_by_view_transport_method_total", "{{method}} {{view}}", "method, view")],
        "reqps",
    ),
    Lines(
        "Responses a second by status",
        "5xx are faults of ours, 429 is a limit.",
        [_rate("django_http_responses_total_by_status_total", "{{status}}", "status")],
        "reqps",
        stacked=True,
    ),
    Lines(
        "Duration of requests",
        "From the first middleware to the last, of all views.",
        _percentiles("django_http_requests_latency_including_middlewares_seconds"),
        "s",
        colours={"p50": GREEN, "p95": YELLOW, "p99": RED},
    ),
    Lines(
        "Duration of requests by view, p95",
        "Within the view.",
        [
            Query(
                "histogram_quantile(0.95, sum by (le, view) "
                f"(rate(django_http_requests_latency_seconds_by_view_method_bucket{HERE}[$__rate_interval])))",
                "{{view}}",
            )
        ],
        "s",
    ),
    Lines(
        "Open connections",
        "WebSockets, subscriptions on them, and claims of remote workers that wait for tasks.",
        [
            Query(f"sum(dtq_sockets_open{HERE})", "WebSockets"),
            Query(f"sum(dtq_subscriptions_open{HERE})", "subscriptions"),
            Query(f"sum(dtq_claims_waiting{HERE})", "waiting claims"),
        ],
        "short",
    ),
    Heat(
        "Spread of the durations",
        "By bucket.",
        [_spread("django_http_requests_latency_including_middlewares_seconds")],
        "s",
    ),
)

_DATABASE = (
    Lines(
        "Statements a second",
        "What API processes ask the database. Workers and schedulers are not among them.",
        [_rate("django_db_execute_total", "{{vendor}}", "vendor")],
        "ops",
        width=8,
    ),
    Lines(
        "Duration of statements",
        "As API processes see it.",
        _percentiles("django_db_query_duration_seconds"),
        "s",
        width=8,
        colours={"p50": GREEN, "p95": YELLOW, "p99": RED},
    ),
    Lines(
        "New connections a second",
        "Requests on threads of their own open one each.",
        [_rate("django_db_new_connections_total", "{{vendor}}", "vendor")],
        "ops",
        width=8,
    ),
    Lines(
        "Transactions lost a second",
        "Deadlocks and waits for locks, of all processes of the installation. They are repeated.",
        [rate("dtq_database_conflicts_total", "{{kind}}", "kind")],
        "ops",
        width=8,
    ),
    Lines(
        "Errors a second",
        "Statements that the database refused, or could not be asked.",
        [Query(f"sum by (type) (rate(django_db_errors_total{HERE}[$__rate_interval])) or vector(0)", "{{type}}")],
        "ops",
        width=8,
    ),
    Lines(
        "Time to read the metrics",
        "Of the rows of the whole installation, at each scrape. Some hundredths of a second as a rule.",
        [Query(f"max by (instance) (dtq_scrape_duration_seconds{HERE})", "{{instance}}")],
        "s",
        width=8,
        steps=[(1, RED)],
    ),
)

_REDIS = (
    Lines(
        "Memory",
        "What Redis uses for its data, and what it may use; 0 is any.",
        [Query("max(dtq_redis_memory_bytes{@})", "used"), Query("max(dtq_redis_max_memory_bytes{@})", "allowed")],
        "bytes",
        width=8,
    ),
    Lines("Commands a second", "Of all processes.", [rate("dtq_redis_commands_total", "commands")], "ops", width=8),
    Lines("Connections", "Of all processes.", [Query("max(dtq_redis_clients{@})", "connections")], "short", width=8),
)

_SYSTEM = (
    Lines(
        "CPU of API processes",
        "1 is a whole core, and all that one process can use.",
        [_rate("process_cpu_seconds_total", "{{instance}}", "instance")],
        "percentunit",
        width=8,
        steps=[(0.9, RED)],
    ),
    Lines(
        "Memory of API processes",
        "Resident.",
        [Query(f"sum by (instance) (process_resident_memory_bytes{HERE})", "{{instance}}")],
        "bytes",
        width=8,
    ),
    Lines(
        "Open files of API processes",
        "Connections are among them.",
        [
            Query(f"sum by (instance) (process_open_fds{HERE})", "{{instance}}"),
            Query(f"min(process_max_fds{HERE})", "allowed"),
        ],
        "short",
        width=8,
    ),
)

API = Dashboard(
    "dtq-api",
    "API, database and system",
    "How do the API, the database, Redis and the processes do?",
    [("Now", _NOW), ("API", _API), ("Database", _DATABASE), ("Redis", _REDIS), ("Processes", _SYSTEM)],
    [Choice("instance", "Process", "dtq_database_up")],
)
