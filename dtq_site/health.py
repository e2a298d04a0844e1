"""Is it healthy: one probe for each part, and their sum.

Without the database nothing works, so that is 503. Without Redis, a worker or a scheduler tasks are still accepted and
none is lost, so that is 200 with the status ``degraded``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

from dtq_site.foundation.clock import elapsed_clock, host_now
from dtq_site.foundation.database import database_clock, sample_database_clock
from dtq_site.foundation.redis_clients import redis_client
from scheduling import selectors as scheduling
from tasks import selectors as tasks
from tasks.queue.dispatch import redis_index
from workers import selectors as workers

PROBE_SECONDS = 1.0
_started = elapsed_clock()

Check = dict[str, Any]


def check_database() -> Check:
    """Whether the database answers a query."""
    return _timed(sample_database_clock)


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
        return {"status": "down", "error": type(error).__name__}
    return {"status": "ok", "milliseconds": round((elapsed_clock() - started) * 1000, 2)}


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
    if answer["checks"]["database"]["status"] != "ok":
        return answer
    now = database_clock.now()
    online, total = len(workers.online(now)), workers.known()
    answer["workers"] = {"online": online, "total": total}
    answer["queue"] = tasks.backlog()
    answer["checks"]["workers"] = {"status": "ok" if online else "none"}
    answer["checks"]["scheduler"] = {"status": "ok" if scheduling.has_leader(now) else "none"}
    healthy = all(check["status"] == "ok" for check in answer["checks"].values())
    answer["status"] = "ok" if healthy else "degraded"
    return answer


@never_cache
@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """`/health`: everything."""
    answer = report()
    return JsonResponse(answer, status=503 if answer["status"] == "down" else 200)


@never_cache
@require_safe
def health_database(request: HttpRequest) -> JsonResponse:
    """`/health/database` and `/health/ready`: whether requests can be served."""
    check = check_database()
    return JsonResponse(check, status=200 if check["status"] == "ok" else 503)


@never_cache
@require_safe
def health_queue(request: HttpRequest) -> JsonResponse:
    """`/health/queue`: the backlog, and whether Redis dispatches it."""
    check = check_redis()
    if check["status"] != "ok":
        check["status"] = "degraded"
    if check_database()["status"] != "ok":
        return JsonResponse({**check, "status": "down"}, status=503)
    return JsonResponse({**check, **tasks.backlog()})


@never_cache
@require_safe
def health_live(request: HttpRequest) -> JsonResponse:
    """`/health/live`: this process answers."""
    return JsonResponse({"status": "ok", "uptime": int(elapsed_clock() - _started)})
