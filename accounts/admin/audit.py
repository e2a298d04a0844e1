"""The audit log in the Django admin, to read: by who, what, when, and of what. Each of these is read off an index."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.dateparse import parse_date

from accounts.admin_pages import MOST_OFFERED, ReadOnlyPage, TextFilter, in_utc, name_of
from accounts.models import AuditEntry, User
from accounts.roles import Role
from dtq_site.foundation.database import database_clock

Entries = QuerySet[AuditEntry]


class SinceFilter(admin.SimpleListFilter):
    """By how long ago it was done."""

    title = "time"
    parameter_name = "hours"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        """Hours back from now."""
        return [("1", "The last hour"), ("24", "The last day"), ("168", "The last 7 days"), ("720", "The last 30 days")]

    def queryset(self, request: HttpRequest, queryset: Entries) -> Entries:
        """The entries since then."""
        if self.value() not in dict(self.lookup_choices):
            return queryset
        return queryset.filter(at__gte=database_clock.now() - timedelta(hours=int(self.value())))


class DayFilter(TextFilter):
    """By the day on which it was done, in UTC."""

    title = "day, as 2030-12-31"
    parameter_name = "day"

    def queryset(self, request: HttpRequest, queryset: Entries) -> Entries:
        """The entries of that day; none of what is no day."""
        if self.value() is None:
            return queryset
        try:
            day = parse_date(self.value())
        except ValueError:
            day = None
        if day is None:
            return queryset.none()
        return queryset.filter(at__range=[datetime.combine(day, moment, UTC) for moment in (time.min, time.max)])


class ActorFilter(TextFilter):
    """By who did it."""

    title = "actor"
    parameter_name = "actor"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        """The administrators."""
        admins = User.objects.filter(role=Role.ADMIN).values_list("username", flat=True)
        return [(name, name) for name in admins[:MOST_OFFERED]]

    def queryset(self, request: HttpRequest, queryset: Entries) -> Entries:
        """What that account did."""
        return queryset if self.value() is None else queryset.filter(actor=self.value())


class ActionFilter(TextFilter):
    """By what was done."""

    title = "action"
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        """What was done of late."""
        latest = AuditEntry.objects.values_list("action", flat=True)[:MOST_OFFERED]
        return [(action, action) for action in sorted(set(latest))]

    def queryset(self, request: HttpRequest, queryset: Entries) -> Entries:
        """The entries of that action."""
        return queryset if self.value() is None else queryset.filter(action=self.value())


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyPage):
    """The audit log. Its search goes by how a target begins: a kind, or a kind and an id, such as `queue:mail`."""

    list_display = ("moment", "actor", "action", "named", "target")
    list_display_links = ("moment", "action")
    list_filter = (SinceFilter, DayFilter, ActorFilter, ActionFilter)
    search_fields = ("^target",)
    search_help_text = 'How the target begins: "queue:mail", "task:", "user:"'
    sortable_by = ()
    readonly_fields = fields = ("moment", "actor", "actor_id", "action", "target", "facts", "request_id")

    @admin.display(description="at (UTC)")
    def moment(self, entry: AuditEntry) -> str:
        """When, to the second."""
        return in_utc(entry.at)

    @admin.display(description="name")
    def named(self, entry: AuditEntry) -> str:
        """What people call the target, where the facts say so."""
        return name_of(entry)
