"""Is it healthy: one probe for each part, and their sum.

Without the database, or without our tables in it, nothing works, so that is 503. Without Redis, a worker or a scheduler
tasks are still accepted and none is lost, so that is 200 with the status ``degraded``. So it is while a duty of the scheduler
fails or is behind.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from redis.exceptions import RedisError

from dtq_site.foundation.clock import elapsed_clock, host_now
from dtq_site.foundation.database import database_clock, sample_database_clock
from dtq_site.foundation.redis_clients import redis_client
from dtq_site.reading import reads_only
from scheduling import selectors as scheduling
from scheduling.duty_states import DutyHealth, duty_states
from tasks import selectors as tasks
from tasks.models import Queue
from tasks.queue.dispatch import redis_index
from workers import selectors as workers

PROBE_SECONDS = 1.0
_started = elapsed_clock()

Check = dict[str, Any]


def check_database() -> Check:
    """Whether the database answers, and has our tables."""
    return _timed(_read_from_database)


def _read_from_database() -> None:
    sample_database_clock()
    Queue.objects.exists()


def check_redis() -> Check:
    """Whether Redis answers."""
    redis_index()  # starts the embedded one, where that is configured
    client = redis_client(settings.REDIS_URL, timeout_seconds=PROBE_SECONDS, max_connections=1)
    try:
        return _timed(client.ping)
    finally:
        client.close()


def _timed(probe: Callable[[], Any]) -> Check:
    started = elapsed_clock()
    try:
        probe()
    except (DatabaseError, InterfaceError, RedisError) as error:
        return _down(error)
    return {"status": "ok", "milliseconds": round((elapsed_clock() - started) * 1000, 2)}


def _down(error: Exception) -> Check:
    return {"status": "down", "error": type(error).__name__}


def report() -> dict[str, Any]:
    """The state of the whole installation, as `/health` shows it."""
    answer: dict[str, Any] = {
        "status": "down",
        "timestamp": host_now().isoformat(timespec="seconds").replace("+00:00", "Z"),
        "uptime": int(elapsed_clock() - _started),
        "workers": {"online": 0, "total": 0},
        "queue": {"depth": 0, "deadLetter": 0},
        "checks": {"database": check_database(), "redis": check_redis()},
    }
    if answer["checks"]["database"]["status"] == "ok":
        try:
            _add_what_rows_say(answer)
        except (DatabaseError, InterfaceError) as error:  # it went away in between
            answer["checks"]["database"] = _down(error)
    return answer


def _add_what_rows_say(answer: dict[str, Any]) -> None:
    now = database_clock.now()
    online, total, queue = len(workers.online(now)), workers.known(), tasks.backlog()
    checks = answer["checks"]
    checks["workers"] = {"status": "ok" if online else "none"}
    checks.update(_check_scheduling(now))
    healthy = all(check["status"] == "ok" for check in checks.values())
    answer.update(status="ok" if healthy else "degraded", workers={"online": online, "total": total}, queue=queue)


def _check_scheduling(now: datetime) -> dict[str, Check]:
    """Whether somebody schedules, and a line for each duty that is not as it should be.

    Nobody leads between two calls of `runscheduler --once`, but then the duties are on time.
    """
    states = duty_states()
    if not scheduling.has_leader(now) and not all(state.is_on_time(now) for state in states):
        return {"scheduler": {"status": "none"}}
    unwell = [state for state in states if state.health(now) is not DutyHealth.OK]
    return {"scheduler": {"status": "ok"}, **{f"duty {each.name}": {"status": each.health(now)} for each in unwell}}


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
    check = check_database()
    return JsonResponse(check, status=200 if check["status"] == "ok" else 503)


@never_cache
@reads_only
def health_queue(request: HttpRequest) -> JsonResponse:
    """`/health/queue`: the backlog, and whether Redis dispatches it."""
    check = check_redis()
    if check["status"] != "ok":
        check["status"] = "degraded"
    try:
        return JsonResponse({**check, **tasks.backlog()})
    except (DatabaseError, InterfaceError) as error:
        return JsonResponse({**check, **_down(error)}, status=503)


@never_cache
@reads_only
def health_live(request: HttpRequest) -> JsonResponse:
    """`/health/live`: this process answers."""
    return JsonResponse({"status": "ok", "uptime": int(elapsed_clock() - _started)})
