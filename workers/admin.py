"""Workers in the Django admin: to be looked at. What they are, they say themselves."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.contrib import admin
from django.db.models import Min, OuterRef, QuerySet, Subquery
from django.http import HttpRequest

from dtq_site.foundation.database import database_clock
from tasks.domain.states import TaskStatus
from tasks.models import Task
from workers.domain.liveness import WorkerStatus, is_online
from workers.models import Worker


@admin.register(Worker)
class WorkerAdmin(admin.ModelAdmin):
    """Who is there, who was cut off and since when, and until when the tasks of each stay its own."""

    list_display = ("name", "hostname", "transport", "status", "offline_since", "lease_until", "team", "version")
    list_filter = ("transport", "status")
    list_select_related = ("team",)
    search_fields = ("name", "hostname")
    ordering = ("name", "id")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Worker]:
        """The workers, each with the end of its first lease."""
        held = Task.objects.filter(status=TaskStatus.PROCESSING, lease_owner=OuterRef("pk")).values("lease_owner")
        first_end = held.annotate(ends=Min("lease_expires_at")).values("ends")
        return super().get_queryset(request).annotate(first_end=Subquery(first_end))

    @admin.display(description="offline since", empty_value="")
    def offline_since(self, worker: Worker) -> datetime | None:
        """When it was last heard of, if it is offline and has not ended as it should."""
        online = is_online(
            worker.status, worker.last_heartbeat, database_clock.now(), settings.DTQ_WORKERS.offline_after
        )
        return None if online or worker.status == WorkerStatus.STOPPED else worker.last_heartbeat

    @admin.display(description="lease until", ordering="first_end", empty_value="")
    def lease_until(self, worker: Worker) -> datetime | None:
        """Until when all that it runs stays its own, if nothing more is heard of it."""
        return worker.first_end

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Workers sign on themselves."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Worker | None = None) -> bool:
        """What they say of themselves is theirs."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Worker | None = None) -> bool:
        """Silent ones are tidied away."""
        return False
