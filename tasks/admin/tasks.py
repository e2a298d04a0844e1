"""Tasks in the Django admin: to look through and to look at, and to be run again or called off, many at a time."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.admin_pages import ReadOnlyPage, in_utc
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.errors import BadInput
from dtq_site.foundation.ids import parse_uuid
from tasks import changes, failures
from tasks.admin import filters
from tasks.admin.browsing import ORDER, browse
from tasks.admin.bulk_form import CANCEL, REDRIVE, RETRY, BulkForm, Deed, in_words
from tasks.filters import TaskFilter, to_json
from tasks.graphql.cursors import cursor_of, position_at
from tasks.models import Task

AFTER_VAR = "after"


class TaskList(ChangeList):
    """A page of `browsing.py` in the place of Django's, which would sort and count the table. `wanted` is what it shows."""

    wanted = TaskFilter()
    older: str | None = None

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Task]:
        """All tasks; which of them are wanted is said apart."""
        self.cursor = self.params.pop(AFTER_VAR, None)
        self.filter_params.pop(AFTER_VAR, None)
        self.filter_specs, self.has_filters, unknown, _, self.has_active_filters = self.get_filters(request)
        if unknown:
            raise IncorrectLookupParameters
        wanted = TaskFilter(search=self.query.strip() or None)
        for spec in self.filter_specs:
            wanted = spec.narrowed(wanted)
        self.wanted = wanted
        self.clear_all_filters_qs = self.get_query_string(remove=self.get_filters_params())
        return self.root_queryset

    def get_results(self, request: HttpRequest) -> None:
        """Read the page."""
        try:
            after = position_at(self.cursor, ORDER) if self.cursor else None
        except BadInput:
            raise IncorrectLookupParameters from None
        found = browse(self.wanted, self.list_per_page, after)
        self.result_list = list(found.tasks)
        self.result_count = self.full_result_count = len(found.tasks)
        self.show_admin_actions, self.show_full_result_count = True, False
        self.can_show_all = self.multi_page = False
        self.paginator = self.model_admin.get_paginator(request, self.result_list, self.list_per_page)
        if found.end:
            self.older = self.get_query_string({AFTER_VAR: cursor_of(ORDER, found.end)})


@admin.register(Task)
class TaskAdmin(ReadOnlyPage):
    """Tasks. The engine owns the rows; the actions call its verbs, after a page that shows what they would do."""

    audited_as = "task"
    list_display = ("label", "state", "queue", "priority", "team", "tries", "moments", "gist")
    list_display_links = ("label",)
    list_filter = (
        filters.StatusFilter,
        filters.CreatedFilter,
        filters.QueueFilter,
        filters.HandlerFilter,
        filters.TeamFilter,
        filters.ErrorFilter,
        filters.WorkerFilter,
        filters.ScheduleFilter,
    )
    search_fields = ("id",)  # the list looks for the text itself
    search_help_text = "The beginning of an id, or a text in name, title or description"
    sortable_by = ()
    actions = ("retry", "cancel", "redrive")
    fieldsets = (
        (None, {"fields": ("state", "name", "title", "description", "error", "payload", "result")}),
        ("Where it stands", {"fields": ("queue", "priority", "team", "user", "tries", "hold", "held_until", "lock")}),
        ("When", {"fields": ("created_at", "scheduled_at", "queued_at", "started_at", "completed_at", "updated_at")}),
        ("Attempts that did not complete", {"fields": ("endings",)}),
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """The list of our own."""
        return TaskList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Task], search_term: str
    ) -> tuple[QuerySet[Task], bool]:
        """Those whose id it is; the list has a search of its own."""
        return queryset.filter(pk=parse_uuid(search_term)), False

    def view_on_site(self, task: Task) -> str:
        """The page for operators, which is live."""
        return reverse("task", args=[task.pk])

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, under a title that says what it is."""
        return super().changelist_view(request, {"subtitle": "The newest first", **(extra_context or {})})

    # --- columns ---------------------------------------------------------------------------------------------------

    @admin.display(description="task")
    def label(self, task: Task) -> SafeString:
        """What people call it, and what runs."""
        if task.title == task.name:
            return format_html("{}", task.title)
        return format_html("{}<br><small>{}</small>", task.title, task.name)

    @admin.display(description="status")
    def state(self, task: Task) -> SafeString:
        """In which state it is."""
        return format_html('<span class="badge {}">{}</span>', task.status, task.status)

    @admin.display(description="attempts")
    def tries(self, task: Task) -> str:
        """How many attempts began, of how many that it has."""
        return f"{task.attempts} of {task.earlier_attempts + task.max_retries + 1}"

    @admin.display(description="created, changed (UTC)")
    def moments(self, task: Task) -> SafeString:
        """When it was created and when it changed last, to the second."""
        return format_html("{}<br><small>{}</small>", in_utc(task.created_at), in_utc(task.updated_at))

    @admin.display(description="error", empty_value="")
    def gist(self, task: Task) -> str:
        """The line that says what was wrong."""
        return failures.gist(task.error)

    @admin.display(description="attempts")
    def endings(self, task: Task) -> SafeString:
        """How each of them ended."""
        rows = ((in_utc(end.ended_at), end.attempt, end.ending, end.error) for end in failures.endings([task.pk]))
        return format_html_join("", "<p>{}: attempt {}, {}</p><pre>{}</pre>", rows) or SafeString("None.")

    # --- actions ---------------------------------------------------------------------------------------------------

    @admin.action(description="Run again…", permissions=["act"])
    def retry(self, request: HttpRequest, chosen: QuerySet[Task]) -> HttpResponse | None:
        """FAILED, DEAD_LETTER and CANCELLED ones, at once or at a rate."""
        return self._ask_or_do(request, RETRY)

    @admin.action(description="Cancel…", permissions=["act"])
    def cancel(self, request: HttpRequest, chosen: QuerySet[Task]) -> HttpResponse | None:
        """Those that have not ended."""
        return self._ask_or_do(request, CANCEL)

    @admin.action(description="Redrive dead letters…", permissions=["act"])
    def redrive(self, request: HttpRequest, chosen: QuerySet[Task]) -> HttpResponse | None:
        """Put dead letters back into their queues at a rate."""
        return self._ask_or_do(request, REDRIVE)

    def _ask_or_do(self, request: HttpRequest, deed: Deed) -> HttpResponse | None:
        """Show what would be done, and do it once that was confirmed."""
        wanted, now = deed.narrowed(self._meant(request)), database_clock.now()
        confirmed = "confirmed" in request.POST
        form = BulkForm(request.POST if confirmed else None, deed=deed)
        if confirmed and form.is_valid():
            answer = changes.request_bulk(deed.verb, wanted, request.user.identity, now, form.cleaned_data.get("rate"))
            self.message_user(request, deed.told(answer), messages.SUCCESS)
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": f"{deed.question}?",
            "opts": self.opts,
            "deed": deed,
            "form": form,
            "preview": (preview := deed.preview(wanted, now)),
            "count": f"{preview.count:,}",
            "wanted": in_words(to_json(wanted)),
            "checkbox": ACTION_CHECKBOX_NAME,
            "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "across": request.POST.get("select_across", "0"),
            "back": request.get_full_path(),
        }
        return TemplateResponse(request, "admin/tasks/task/confirm.html", context)

    def _meant(self, request: HttpRequest) -> TaskFilter:
        """The tasks that were chosen: those of which the box is ticked, or all that the list's filters and search let through."""
        if request.POST.get("select_across") == "1":
            return self.get_changelist_instance(request).wanted
        chosen = [parse_uuid(each) for each in request.POST.getlist(ACTION_CHECKBOX_NAME)]
        return TaskFilter(ids=[each for each in chosen if each is not None])
