"""Workers in the Django admin: to be looked at. What they are, they say themselves."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.admin_pages import ReadOnlyPage, TeamFilter, in_utc
from dtq_site.foundation.database import database_clock
from workers import selectors
from workers.domain.liveness import WorkerStatus, is_online
from workers.models import Worker

ONLINE, OFFLINE, STOPPED = "online", "offline", "stopped"


class StateFilter(admin.SimpleListFilter):
    """By whether it is there."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        """Those that `WorkerAdmin.state` shows."""
        return [(ONLINE, "Online"), (OFFLINE, "Offline, not ended as it should"), (STOPPED, "Stopped")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Worker]) -> QuerySet[Worker]:
        """Those in that state."""
        stopped = Q(status=WorkerStatus.STOPPED)
        heard = Q(last_heartbeat__gt=database_clock.now() - settings.DTQ_WORKERS.offline_after)
        wanted = {ONLINE: ~stopped & heard, OFFLINE: ~stopped & ~heard, STOPPED: stopped}
        return queryset.filter(wanted.get(self.value() or "", Q()))


class TransportFilter(admin.SimpleListFilter):
    """By how it reaches the server."""

    title = "transport"
    parameter_name = "transport"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        """Both ways."""
        return [("direct", "Direct"), ("remote", "Remote")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Worker]) -> QuerySet[Worker]:
        """Those that reach it so."""
        return queryset if self.value() is None else queryset.filter(transport=self.value())


class WorkerList(ChangeList):
    """The workers, each with what it holds."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page, and what all of it holds at once."""
        super().get_results(request)
        self.result_list = list(self.result_list)
        shown = [worker.pk for worker in self.result_list]
        held, ends = selectors.active_task_counts(shown), selectors.lease_ends(shown)
        for worker in self.result_list:
            worker.held, worker.first_end = held[worker.pk], ends.get(worker.pk)


@admin.register(Worker)
class WorkerAdmin(ReadOnlyPage):
    """Who is there, who was cut off and since when, what each runs, and until when its tasks stay its own."""

    list_display = (
        "name",
        "state",
        "running",
        "served",
        "transport",
        "team",
        "heard",
        "offline_since",
        "lease_until",
        "hostname",
        "version",
    )
    list_filter = (StateFilter, TransportFilter, TeamFilter)
    list_select_related = ("team",)
    search_fields = ("name__lower__startswith", "^hostname")
    search_help_text = "How the name of the worker or of its host begins"
    ordering = ("name", "id")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """The list with what each holds."""
        return WorkerList

    @admin.display(description="state")
    def state(self, worker: Worker) -> SafeString:
        """Whether it is there."""
        state = STOPPED if worker.status == WorkerStatus.STOPPED else ONLINE if _is_there(worker) else OFFLINE
        said = worker.status.lower() if state == ONLINE and worker.status != WorkerStatus.RUNNING else state
        return format_html('<span class="badge {}">{}</span>', state, said)

    @admin.display(description="runs")
    def running(self, worker: Worker) -> SafeString:
        """How many tasks it holds, of how many that it runs at a time."""
        link = f"{reverse('admin:tasks_task_changelist')}?worker={worker.pk}"
        return format_html('<a href="{}">{} of {}</a>', link, worker.held, worker.concurrency)

    @admin.display(description="queues")
    def served(self, worker: Worker) -> str:
        """The queues that it serves."""
        return ", ".join(worker.queues) or "all"

    @admin.display(description="last heard (UTC)", ordering="last_heartbeat")
    def heard(self, worker: Worker) -> str:
        """When it last said anything."""
        return in_utc(worker.last_heartbeat)

    @admin.display(description="offline since (UTC)", empty_value="")
    def offline_since(self, worker: Worker) -> str | None:
        """When it was last heard of, if it is offline and has not ended as it should."""
        return None if worker.status == WorkerStatus.STOPPED or _is_there(worker) else in_utc(worker.last_heartbeat)

    @admin.display(description="lease until (UTC)", empty_value="")
    def lease_until(self, worker: Worker) -> str | None:
        """Until when all that it runs stays its own, if nothing more is heard of it."""
        return in_utc(worker.first_end) if worker.first_end else None


def _is_there(worker: Worker) -> bool:
    now, patience = database_clock.now(), settings.DTQ_WORKERS.offline_after
    return is_online(worker.status, worker.last_heartbeat, now, patience)
