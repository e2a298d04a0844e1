"""The settings of tasks."""

from dataclasses import dataclass
from datetime import timedelta

from dtq_site.foundation.options import option

BUILT_IN_HANDLERS = ("daily-report", "http-request", "send-email")
"""Those that come with the project, for everybody."""


def check_built_in(names: tuple[str, ...]) -> None:
    """Raise ValueError for what is no built-in handler."""
    if unknown := sorted(set(names) - set(BUILT_IN_HANDLERS)):
        raise ValueError(f"{', '.join(unknown)}: name some of {', '.join(BUILT_IN_HANDLERS)}")


@dataclass(frozen=True)
class TasksOptions:
    """Defaults and limits of tasks."""

    retry_attempts: int = option(
        3,
        env=("RETRY_ATTEMPTS", "MAX_RETRY_ATTEMPTS"),
        minimum=0,
        maximum=1000,
        help="how often a failed task is tried again, where neither the task nor its handler says.",
    )
    retry_backoff_ms: int = option(
        1000,
        env="RETRY_BACKOFF",
        minimum=1,
        maximum=3_600_000,
        help="milliseconds before the first retry; each further wait doubles.",
    )
    retry_backoff_cap: timedelta = option(
        timedelta(hours=1),
        env="DTQ_RETRY_BACKOFF_CAP",
        minimum=timedelta(seconds=1),
        maximum=timedelta(days=7),
        help="the longest wait between two attempts.",
    )
    max_lost_leases: int = option(
        3,
        env="DTQ_MAX_LOST_LEASES",
        minimum=0,
        maximum=1000,
        help="how many lost leases a task survives; one more makes it a dead letter.",
    )
    default_timeout: timedelta = option(
        timedelta(hours=1),
        env="DTQ_DEFAULT_TIMEOUT",
        minimum=timedelta(seconds=1),
        maximum=timedelta(days=30),
        help="the time limit of an attempt, where neither the task nor its handler says.",
    )
    max_json_bytes: int = option(
        256 * 1024,
        env="DTQ_MAX_JSON_BYTES",
        minimum=1024,
        maximum=4 * 1024 * 1024,
        help="the largest payload or result, in bytes of JSON.",
    )
    max_results_bytes: int = option(
        4 * 1024 * 1024,
        env="DTQ_MAX_RESULTS_BYTES",
        minimum=1024,
        maximum=64 * 1024 * 1024,
        help="how much a handler is handed of the results of what its task depends on, together, in bytes of JSON.",
    )
    handlers: tuple[str, ...] = option(
        (), env="DTQ_HANDLERS", help="modules with handlers to import, comma-separated, beside handlers.py of each app."
    )
    disabled_handlers: tuple[str, ...] = option(
        (),
        env="DTQ_DISABLED_HANDLERS",
        check=check_built_in,
        help=f"the built-in handlers that nobody is to run, some of {', '.join(BUILT_IN_HANDLERS)}, comma-separated; a handler "
        "of yours may then have the name.",
    )
    max_queues: int = option(
        1000, env="DTQ_MAX_QUEUES", minimum=1, maximum=100_000, help="how many queues there may be."
    )
    team_queues: int = option(
        100,
        env="DTQ_TEAM_QUEUES",
        minimum=0,
        maximum=100_000,
        help="how many of the queues one team's users and remote workers may make; what admins and code make does not count.",
    )
    allow_private_addresses: bool = option(
        False,
        env="DTQ_HTTP_ALLOW_PRIVATE",
        help="whether http-request and webhooks may call addresses of private networks and of this machine.",
    )
    webhook_allow_http: bool = option(
        False,
        env="DTQ_WEBHOOK_ALLOW_HTTP",
        help="whether webhooks may have addresses that are not encrypted (http://) in production too.",
    )
    webhook_timeout: timedelta = option(
        timedelta(seconds=15),
        env="DTQ_WEBHOOK_TIMEOUT",
        minimum=timedelta(seconds=1),
        maximum=timedelta(seconds=60),
        help="how long one attempt to deliver a webhook may take, from the first packet to the answer's end.",
    )
    webhook_retries: int = option(
        30,
        env="DTQ_WEBHOOK_RETRIES",
        minimum=0,
        maximum=1000,
        help="how often a webhook is sent again before it is a dead letter; by the usual backoff 30 take most of a day.",
    )
    max_webhooks: int = option(
        20, env="DTQ_MAX_WEBHOOKS", minimum=1, maximum=1000, help="how many webhooks a team may have."
    )
