"""The filters of the list of tasks in the admin. Each says how it narrows what is wanted; what they ask, an index answers."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.admin_pages import MOST_OFFERED, TextFilter
from accounts.admin_pages import TeamFilter as RowsOfTeam
from accounts.models import Team
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.ids import parse_uuid
from tasks.domain.states import TaskStatus
from tasks.filters import TaskFilter
from tasks.models import Queue

NOTHING: tuple[UUID, ...] = ()


class Narrowing(admin.SimpleListFilter):
    """A filter of the list of tasks."""

    def narrowed(self, wanted: TaskFilter) -> TaskFilter:
        """What is wanted of that."""
        value = self.value()
        return wanted if value is None else self.narrow(wanted, value)

    @abstractmethod
    def narrow(self, wanted: TaskFilter, value: str) -> TaskFilter:
        """What is wanted of that, given the value of the filter."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """All: the list asks for what is `narrowed`."""
        return queryset


class StatusFilter(Narrowing):
    """By status."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        """All of them."""
        return [(status, status.replace("_", " ").capitalize()) for status in TaskStatus]

    def narrow(self, wanted: TaskFilter, value: str) -> TaskFilter:
        """Those in that state."""
        known = value in set(TaskStatus)
        return replace(wanted, status=[TaskStatus(value)]) if known else replace(wanted, ids=NOTHING)


class CreatedFilter(Narrowing):
    """By age."""

    title = "creation"
    parameter_name = "hours"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        """Hours back from now."""
        return [("1", "The last hour"), ("24", "The last day"), ("168", "The last 7 days"), ("720", "The last 30 days")]

    def narrow(self, wanted: TaskFilter, value: str) -> TaskFilter:
        """Those that were created since then."""
        if value not in dict(self.lookup_choices):
            return replace(wanted, ids=NOTHING)
        return replace(wanted, created_after=database_clock.now() - timedelta(hours=int(value)))


class QueueFilter(TextFilter, Narrowing):
    """By queue."""

    title = "queue"
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        """The first queues."""
        return [(name, name) for name in Queue.objects.order_by("name").values_list("name", flat=True)[:MOST_OFFERED]]

    def narrow(self, wanted: TaskFilter, value: str) -> TaskFilter:
        """Those in that queue."""
        return replace(wanted, queue=value)


class HandlerFilter(TextFilter, Narrowing):
    """By what runs."""

    title = "handler"
    parameter_name = "handler"

    def narrow(self, wanted: TaskFilter, value: str) -> TaskFilter:
        """Those of that name."""
        return replace(wanted, name=value)


class TeamFilter(Narrowing, RowsOfTeam):
    """By team."""

    def narrow(self, wanted: TaskFilter, value: str) -> TaskFilter:
        """Those of that team."""
        team_id = Team.objects.filter(name=value).values_list("pk", flat=True).first()
        return replace(wanted, team_id=team_id) if team_id else replace(wanted, ids=NOTHING)


class ErrorFilter(TextFilter, Narrowing):
    """By what their error says."""

    title = "text in the error"
    parameter_name = "error"

    def narrow(self, wanted: TaskFilter, value: str) -> TaskFilter:
        """Those whose error has that text."""
        return replace(wanted, error=value)


class _Linked(Narrowing):
    """By the id of another row; it shows while somebody has followed a link from that row."""

    column = ""

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        """The one that was asked for."""
        value = self.value()
        return [] if value is None else [(value, value)]

    def narrow(self, wanted: TaskFilter, value: str) -> TaskFilter:
        """Those that refer to it."""
        id_ = parse_uuid(value)
        return replace(wanted, **({self.column: id_} if id_ else {"ids": NOTHING}))


class WorkerFilter(_Linked):
    """By the worker that runs them."""

    title = "worker"
    parameter_name = "worker"
    column = "worker_id"


class ScheduleFilter(_Linked):
    """By the schedule that made them."""

    title = "schedule"
    parameter_name = "schedule"
    column = "schedule_id"
