"""`/metrics`: the whole cluster's counters and gauges, read from rows at each scrape, beside this process's own.

The same values come from every API process: scrape one of them for these, or take the maximum over instances. A scrape reads
a bounded number of rows, however many tasks there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from prometheus_client.core import Metric

from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.database import database_clock
from dtq_site.metrics import queues, servers, totals, upkeep, workers
from dtq_site.metrics.families import gauge
from dtq_site.reading import reads_only


class ClusterCollector:
    """Yields what the rows say. While the database is away there is only what is known without it."""

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: registering must not ask the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """One scrape."""
        began = elapsed_clock()
        up = 1
        found: list[Metric] = []
        try:
            now = database_clock.now()
            found = [*totals.families(), *queues.families(now), *workers.families(now), *upkeep.families(now)]
        except (DatabaseError, InterfaceError):
            up = 0
        took = elapsed_clock() - began
        yield gauge("dtq_database_up", "Whether the database answers this process.", up)
        yield gauge("dtq_scrape_duration_seconds", "How long this process took to read the cluster's rows.", took)
        yield from found
        yield from servers.families()


CLUSTER = ClusterCollector()


@never_cache
@reads_only
def metrics(request: HttpRequest) -> HttpResponse:
    """`/metrics`, in Prometheus' text format; where a token is set, to those who bear it."""
    token = settings.DTQ_SITE.metrics_token
    if token and not constant_time_compare(request.headers.get("Authorization", ""), f"Bearer {token}"):
        return HttpResponse("This needs the token of the metrics.\n", "text/plain", 401, headers=_CHALLENGE)
    return HttpResponse(generate_latest(REGISTRY), content_type=CONTENT_TYPE_LATEST)


_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="metrics"'}
