"""The settings of scheduling."""

from dataclasses import dataclass
from datetime import timedelta

from dtq_site.foundation.options import option


@dataclass(frozen=True)
class SchedulingOptions:
    """How the scheduler leads and what it keeps."""

    leader_lease: timedelta = option(
        timedelta(seconds=6),
        env="DTQ_LEADER_LEASE",
        minimum=timedelta(seconds=2),
        maximum=timedelta(minutes=1),
        help="how long a scheduler leads without renewing; another one takes over at most this much later.",
    )
    misfire_grace: timedelta = option(
        timedelta(seconds=15),
        env="DTQ_MISFIRE_GRACE",
        minimum=timedelta(seconds=1),
        maximum=timedelta(hours=1),
        help="how late a slot of a schedule may fire without counting as missed; more than a takeover takes.",
    )
    misfire_limit: int = option(
        100,
        env="DTQ_MISFIRE_LIMIT",
        minimum=1,
        maximum=10_000,
        help="how many overdue slots of a schedule that fires all of them are made up for, the newest.",
    )
    completed_retention: timedelta = option(
        timedelta(days=30),
        env="DTQ_COMPLETED_RETENTION",
        minimum=timedelta(minutes=1),
        maximum=timedelta(days=3650),
        help="how long completed and cancelled tasks are kept.",
    )
    failed_retention: timedelta = option(
        timedelta(days=90),
        env="DTQ_FAILED_RETENTION",
        minimum=timedelta(minutes=1),
        maximum=timedelta(days=3650),
        help="how long failed tasks and dead letters are kept.",
    )
