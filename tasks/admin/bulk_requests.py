"""Requests that concern many tasks in the Django admin: how far the scheduler is with them, and a way to stop them."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.admin_pages import ReadOnlyPage, in_utc
from tasks import changes
from tasks.admin.bulk_form import in_words
from tasks.models import BulkRequest


@admin.register(BulkRequest)
class BulkRequestAdmin(ReadOnlyPage):
    """What is under way. A request that is finished is gone; the audit log has it."""

    list_display = ("asked", "verb", "concerned", "pace", "done")
    list_display_links = None
    ordering = ("id",)
    sortable_by = ()
    actions = ("stop",)

    @admin.display(description="asked at (UTC)")
    def asked(self, request: BulkRequest) -> str:
        """When it was asked for."""
        return in_utc(request.requested_at)

    @admin.display(description="which tasks")
    def concerned(self, request: BulkRequest) -> str:
        """The filter, in words."""
        return in_words(request.filter)

    @admin.display(description="rate")
    def pace(self, request: BulkRequest) -> str:
        """How fast it may go."""
        return request.rate or "as fast as can be"

    @admin.action(description="Stop: leave the other tasks as they are", permissions=["act"])
    def stop(self, request: HttpRequest, chosen: QuerySet[BulkRequest]) -> None:
        """Do no more of them."""
        for each in chosen:
            changes.stop_bulk(each.pk, request.user.identity)
        self.message_user(request, f"Stopped: {len(chosen)}.", messages.SUCCESS)
