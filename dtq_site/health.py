"""Is it healthy: one probe for each part, and their sum.

Without the database, or without our tables in it, nothing works, so that is 503. Without Redis, a worker or a scheduler
tasks are still accepted and none is lost, so that is 200 with the status ``degraded``. So it is while a duty of the scheduler
fails or is behind, while a queue is stuck: its oldest task has waited for too long, none of it runs, and none has ended
lately, and while the database answers, but is too busy to tell all that within the time.

Everybody may ask, so the answer counts queues that are stuck; their names are for those who may see queues.

A server that hangs is told from one that is slow by nothing but time, so every probe answers within `ANSWER_SECONDS`, whatever
becomes of the connections on which it looks.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from typing import Any, TypeVar

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, JsonResponse
from django.utils.deprecation import MiddlewareMixin
from django.views.decorators.cache import never_cache
from redis.exceptions import RedisError

from dtq_site.foundation.clock import elapsed_clock, host_now
from dtq_site.foundation.connections import impatient_connection
from dtq_site.foundation.database import database_clock, sample_database_clock
from dtq_site.foundation.looks import Look
from dtq_site.foundation.options import OptionsError
from dtq_site.foundation.redis_clients import redis_client
from dtq_site.reading import reads_only
from scheduling import selectors as scheduling
from scheduling.duty_states import DutyHealth, duty_states
from scheduling.queue_reports import oldest_seconds
from tasks import selectors as tasks
from tasks.models import Queue
from tasks.queue.dispatch import redis_index
from tasks.queue.index import IndexLost
from tasks.standstill import standing_still
from workers import selectors as workers

ANSWER_SECONDS = 2.0
"""How long a probe takes at most."""

SILENCE_SECONDS = 1
"""After what silence a server counts as down."""

COUNTING_SECONDS = 3
"""How long the database may take to count. Longer than a probe: so it is told apart from one that is down."""

_UNWELL = (DatabaseError, InterfaceError, RedisError, IndexLost, OptionsError, TimeoutError)
_started = elapsed_clock()

Check = dict[str, Any]
Seen = TypeVar("Seen")


def _read_from_database() -> None:
    sample_database_clock()
    Queue.objects.exists()


def _ping_redis() -> None:
    redis_index()  # starts the embedded one, where that is configured
    client = redis_client(settings.REDIS_URL, timeout_seconds=SILENCE_SECONDS, max_connections=1)
    try:
        client.ping()
    finally:
        client.close()
    if settings.DISPATCH_REDIS_URL:
        redis_index().ping()


def _read_rows() -> Check:
    """What the rows say, as parts of the report."""
    now = database_clock.now()
    online, total = len(workers.online(now)), workers.known()
    return {
        "workers": {"online": online, "total": total},
        "queue": tasks.backlog(),
        "checks": {"workers": {"status": "ok" if online else "none"}, **_check_scheduling(now)},
        "stuck": _stuck_queues(now),
    }


def _check_scheduling(now: datetime) -> dict[str, Check]:
    """Whether somebody schedules, and a line for each duty that is not as it should be.

    Nobody leads between two calls of `runscheduler --once`, but then the duties are on time.
    """
    states = duty_states()
    if not scheduling.has_leader(now) and not all(state.is_on_time(now) for state in states):
        return {"scheduler": {"status": "none"}}
    unwell = [state for state in states if state.health(now) is not DutyHealth.OK]
    return {"scheduler": {"status": "ok"}, **{f"duty {each.name}": {"status": each.health(now)} for each in unwell}}


def _stuck_queues(now: datetime) -> list[str]:
    """Which queues are stuck. One that is idle, paused, or only longer than its workers are quick is not."""
    late_after = settings.DTQ_SCHEDULING.queue_late_after
    queues = [queue for queue in tasks.queues() if not queue.paused]
    ready = tasks.oldest_ready(queues)
    late = [queue for queue in queues if oldest_seconds(ready.get(queue.name), now) >= late_after.total_seconds()]
    return [queue.name for queue in standing_still(late, now - late_after)] if late else []


def _check_queues(stuck: list[str], *, by_name: bool) -> dict[str, Check]:
    """A line for each queue that is stuck, or one that counts them; none if none is."""
    if by_name:
        return {f"queue {name}": {"status": "stuck"} for name in stuck}
    return {"queues": {"status": "stuck", "stuck": len(stuck)}} if stuck else {}


def _timed(look: Callable[[], None]) -> Callable[[], Check]:
    def check() -> Check:
        started = elapsed_clock()
        look()
        return {"status": "ok", "milliseconds": round((elapsed_clock() - started) * 1000, 2)}

    return check


def _in_database(look: Callable[[], Seen], silence_seconds: int) -> Look[Seen]:
    def impatiently() -> Seen:
        with impatient_connection(silence_seconds):
            return look()

    return Look(impatiently)


_DATABASE = _in_database(_timed(lambda: _read_from_database()), SILENCE_SECONDS)
_REDIS = Look(_timed(_ping_redis))
_ROWS = _in_database(_read_rows, COUNTING_SECONDS)
_BACKLOG = _in_database(tasks.backlog, COUNTING_SECONDS)


def _seen(present: Future[Check], by: float) -> Check:
    """What there is to be seen by that moment; if there is nothing, that it is down."""
    try:
        return dict(present.result(timeout=max(by - elapsed_clock(), 0)))
    except _UNWELL as error:
        return {"status": "down", "error": type(error).__name__}


def report(*, names_queues: bool = False) -> dict[str, Any]:
    """The state of the whole installation, as `/health` shows it; on request with the names of queues that are stuck."""
    by = elapsed_clock() + ANSWER_SECONDS
    looks = [look.begin() for look in (_DATABASE, _REDIS, _ROWS)]
    database, redis, rows = (_seen(look, by) for look in looks)
    answer: dict[str, Any] = {
        "status": "down",
        "timestamp": host_now().isoformat(timespec="seconds").replace("+00:00", "Z"),
        "uptime": int(elapsed_clock() - _started),
        "workers": {"online": 0, "total": 0},
        "queue": {"depth": 0, "deadLetter": 0},
        "checks": {"database": database, "redis": redis},
    }
    if database["status"] == "ok" and rows.get("error") == TimeoutError.__name__:
        answer |= {"status": "degraded", "checks": answer["checks"] | {"rows": {"status": "slow"}}}
    elif database["status"] == "ok" and "error" in rows:
        answer["checks"]["database"] = rows
    elif database["status"] == "ok":
        stuck = _check_queues(rows.pop("stuck"), by_name=names_queues)
        checks = answer["checks"] | rows["checks"] | stuck
        healthy = all(check["status"] == "ok" for check in checks.values())
        answer |= rows | {"checks": checks, "status": "ok" if healthy else "degraded"}
    return answer


@never_cache
@reads_only
def health(request: HttpRequest) -> JsonResponse:
    """`/health`: everything."""
    answer = report()
    return JsonResponse(answer, status=503 if answer["status"] == "down" else 200)


@never_cache
@reads_only
def health_database(request: HttpRequest) -> JsonResponse:
    """`/health/database` and `/health/ready`: whether requests can be served."""
    check = _seen(_DATABASE.begin(), elapsed_clock() + ANSWER_SECONDS)
    return JsonResponse(check, status=200 if check["status"] == "ok" else 503)


@never_cache
@reads_only
def health_queue(request: HttpRequest) -> JsonResponse:
    """`/health/queue`: the backlog, and whether Redis dispatches it."""
    by = elapsed_clock() + ANSWER_SECONDS
    looks = _REDIS.begin(), _BACKLOG.begin()
    redis, backlog = (_seen(look, by) for look in looks)
    if redis["status"] != "ok":
        redis["status"] = "degraded"
    return JsonResponse({**redis, **backlog}, status=503 if "error" in backlog else 200)


@never_cache
@reads_only
def health_live(request: HttpRequest) -> JsonResponse:
    """`/health/live`: this process answers."""
    return JsonResponse({"status": "ok", "uptime": int(elapsed_clock() - _started)})


PROBES: dict[str, Callable[[HttpRequest], JsonResponse]] = {
    "/health": health,
    "/health/database": health_database,
    "/health/queue": health_queue,
    "/health/live": health_live,
    "/health/ready": health_database,
}
"""Every probe, by its path."""


class ProbesUnderAnyName(MiddlewareMixin):
    """Answers probes whatever their header Host says: Kubernetes asks a pod by its address, which no setting can name."""

    def process_request(self, request: HttpRequest) -> JsonResponse | None:
        """The answer to a probe."""
        probe = PROBES.get(request.path_info)
        return None if probe is None else probe(request)
