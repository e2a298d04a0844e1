"""The settings of scheduling."""

from dataclasses import dataclass
from datetime import timedelta

from dtq_site.foundation.options import option

_SHORTEST_PERIOD, _LONGEST_PERIOD = timedelta(milliseconds=10), timedelta(minutes=1)
_SHORTEST_RETENTION, _LONGEST_RETENTION = timedelta(minutes=1), timedelta(days=3650)


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
    promoter_period: timedelta = option(
        timedelta(seconds=1),
        env="DTQ_PROMOTER_PERIOD",
        minimum=_SHORTEST_PERIOD,
        maximum=_LONGEST_PERIOD,
        help="how often the scheduler looks for tasks that are due although nobody has told it of one.",
    )
    cron_period: timedelta = option(
        timedelta(milliseconds=200),
        env="DTQ_CRON_PERIOD",
        minimum=_SHORTEST_PERIOD,
        maximum=_LONGEST_PERIOD,
        help="how often the scheduler looks for schedules whose slot has come.",
    )
    reaper_period: timedelta = option(
        timedelta(seconds=1),
        env="DTQ_REAPER_PERIOD",
        minimum=_SHORTEST_PERIOD,
        maximum=_LONGEST_PERIOD,
        help="how often the scheduler takes back tasks that are stuck with a worker that is gone.",
    )
    lock_keeper_period: timedelta = option(
        timedelta(seconds=1),
        env="DTQ_LOCK_KEEPER_PERIOD",
        minimum=_SHORTEST_PERIOD,
        maximum=_LONGEST_PERIOD,
        help="how often the scheduler looks for free locks for which tasks wait.",
    )
    cap_keeper_period: timedelta = option(
        timedelta(seconds=1),
        env="DTQ_CAP_KEEPER_PERIOD",
        minimum=_SHORTEST_PERIOD,
        maximum=_LONGEST_PERIOD,
        help="how often the scheduler looks for free places under caps for which tasks wait.",
    )
    rate_keeper_period: timedelta = option(
        timedelta(milliseconds=100),
        env="DTQ_RATE_KEEPER_PERIOD",
        minimum=_SHORTEST_PERIOD,
        maximum=_LONGEST_PERIOD,
        help="how often the scheduler looks for tasks that wait for a rate; while any do it wakes for each token.",
    )
    dependency_keeper_period: timedelta = option(
        timedelta(seconds=1),
        env="DTQ_DEPENDENCY_KEEPER_PERIOD",
        minimum=_SHORTEST_PERIOD,
        maximum=_LONGEST_PERIOD,
        help="how often the scheduler looks for tasks that wait for others which have ended.",
    )
    reconciler_period: timedelta = option(
        timedelta(seconds=1),
        env="DTQ_RECONCILER_PERIOD",
        minimum=_SHORTEST_PERIOD,
        maximum=_LONGEST_PERIOD,
        help="how often the scheduler compares the index in Redis with the rows.",
    )
    bulk_work_period: timedelta = option(
        timedelta(milliseconds=500),
        env="DTQ_BULK_WORK_PERIOD",
        minimum=_SHORTEST_PERIOD,
        maximum=_LONGEST_PERIOD,
        help="how often the scheduler looks for requests that concern many tasks.",
    )
    webhook_period: timedelta = option(
        timedelta(milliseconds=500),
        env="DTQ_WEBHOOK_PERIOD",
        minimum=_SHORTEST_PERIOD,
        maximum=_LONGEST_PERIOD,
        help="how often the scheduler looks for events that webhooks are to be told of.",
    )
    queue_health_period: timedelta = option(
        timedelta(minutes=5),
        env="DTQ_QUEUE_HEALTH_PERIOD",
        minimum=_SHORTEST_PERIOD,
        maximum=timedelta(days=1),
        help="how often the scheduler reports how long each queue is, how old its oldest task, and which workers are silent.",
    )
    queue_late_after: timedelta = option(
        timedelta(minutes=5),
        env="DTQ_QUEUE_LATE_AFTER",
        minimum=timedelta(seconds=1),
        maximum=timedelta(days=365),
        help="from what wait of its oldest task on the report about a queue is a warning.",
    )
    sample_period: timedelta = option(
        timedelta(seconds=10),
        env="DTQ_SAMPLE_PERIOD",
        minimum=timedelta(seconds=10),
        maximum=_LONGEST_PERIOD,
        help="how often the scheduler notes the metrics, for the charts of the overview.",
    )
    retention_hour: int = option(
        2,
        env="DTQ_RETENTION_HOUR",
        minimum=0,
        maximum=23,
        help="the hour of the day, in UTC, at which what has been kept long enough is removed.",
    )
    completed_retention: timedelta = option(
        timedelta(days=30),
        env="DTQ_COMPLETED_RETENTION",
        minimum=_SHORTEST_RETENTION,
        maximum=_LONGEST_RETENTION,
        help="how long completed tasks are kept.",
    )
    cancelled_retention: timedelta = option(
        timedelta(days=30),
        env="DTQ_CANCELLED_RETENTION",
        minimum=_SHORTEST_RETENTION,
        maximum=_LONGEST_RETENTION,
        help="how long cancelled tasks are kept.",
    )
    failed_retention: timedelta = option(
        timedelta(days=90),
        env="DTQ_FAILED_RETENTION",
        minimum=_SHORTEST_RETENTION,
        maximum=_LONGEST_RETENTION,
        help="how long failed tasks are kept.",
    )
    dead_letter_retention: timedelta = option(
        timedelta(days=90),
        env="DTQ_DEAD_LETTER_RETENTION",
        minimum=_SHORTEST_RETENTION,
        maximum=_LONGEST_RETENTION,
        help="how long dead letters are kept.",
    )
    log_retention: timedelta = option(
        timedelta(days=30),
        env="DTQ_LOG_RETENTION",
        minimum=_SHORTEST_RETENTION,
        maximum=_LONGEST_RETENTION,
        help="how long log lines of tasks, if the task is not removed before, are kept.",
    )
    webhook_retention: timedelta = option(
        timedelta(days=14),
        env="DTQ_WEBHOOK_RETENTION",
        minimum=timedelta(days=2),
        maximum=_LONGEST_RETENTION,
        help="how long the log of what was delivered to webhooks is kept, and what is in it can be delivered again.",
    )
    audit_retention: timedelta = option(
        timedelta(days=365),
        env="DTQ_AUDIT_RETENTION",
        minimum=_SHORTEST_RETENTION,
        maximum=_LONGEST_RETENTION,
        help="how long entries of the audit log are kept.",
    )
    worker_retention: timedelta = option(
        timedelta(days=1),
        env="DTQ_WORKER_RETENTION",
        minimum=_SHORTEST_RETENTION,
        maximum=_LONGEST_RETENTION,
        help="how long workers that were not heard of again are kept.",
    )
