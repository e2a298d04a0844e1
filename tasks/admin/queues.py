"""Queues and the limits of handlers in the Django admin. Whatever is done here is done and noted by `changes.py`."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from graphene.utils.str_converters import to_snake_case

from accounts.admin_pages import AdminPage
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.errors import BadInput
from tasks import changes, limits, queues, selectors
from tasks.domain.states import TaskStatus
from tasks.domain.submission import check_handler_name
from tasks.models import HandlerLimits, Queue

LIMITS = ("rate_limit", "burst", "concurrency_limit")


class CheckedForm(forms.ModelForm):
    """A form whose fields may all be left empty, and which is checked by the rules of the API, each refusal at its field."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.required = name == "name"

    @property
    def asked(self) -> dict[str, Any]:
        """What was changed in it."""
        return {name: self.cleaned_data[name] for name in self.changed_data if name != "name"}

    def clean(self) -> dict[str, Any]:
        """Check it."""
        self.cleaned_data |= {name: None for name, value in self.cleaned_data.items() if value == ""}
        if not self.errors and self.asked:
            try:
                self.check()
            except BadInput as error:
                self.add_error(to_snake_case(error.field), error.message)
        return self.cleaned_data

    def check(self) -> None:
        """Raise BadInput unless it may be kept."""
        raise NotImplementedError


class QueueForm(CheckedForm):
    """How a queue is served."""

    class Meta:
        model = Queue
        fields = ("weight", "ageing_seconds", *LIMITS)

    def check(self) -> None:
        """See `queues.checked_changes`."""
        queues.checked_changes(self.instance.name, self.asked)


class HandlerLimitsForm(CheckedForm):
    """What is said about a handler."""

    class Meta:
        model = HandlerLimits
        fields = ("name", *LIMITS)

    def check(self) -> None:
        """See `limits.checked_changes`."""
        check_handler_name(self.cleaned_data.get("name", self.instance.name))
        limits.checked_changes(self.asked)


class QueueList(ChangeList):
    """The queues, each with what waits and runs in it."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page, and the figures of all of it at once."""
        super().get_results(request)
        self.result_list = list(self.result_list)
        counts = selectors.queue_counts([queue.name for queue in self.result_list])
        oldest = selectors.oldest_ready(self.result_list)
        for queue in self.result_list:
            queue.ready = counts[queue.name, TaskStatus.QUEUED]
            queue.running = counts[queue.name, TaskStatus.PROCESSING]
            queue.oldest = oldest.get(queue.name)


@admin.register(Queue)
class QueueAdmin(AdminPage):
    """Queues: how they are served, what limits them, pause and resume. They come into being with their first task."""

    audited_as = "queue"
    form = QueueForm
    list_display = ("name", "serving", "ready", "running", "oldest", "weight", "ageing_seconds", *LIMITS, "shown")
    list_filter = ("paused",)
    search_fields = ("name__lower__contains",)
    ordering = ("name",)
    actions = ("pause", "resume")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """The list with figures."""
        return QueueList

    @admin.display(description="serves", boolean=True)
    def serving(self, queue: Queue) -> bool:
        """Whether its tasks are handed out."""
        return not queue.paused

    @admin.display(description="ready")
    def ready(self, queue: Queue) -> int:
        """How many tasks wait in it."""
        return queue.ready

    @admin.display(description="running")
    def running(self, queue: Queue) -> int:
        """How many of its tasks run."""
        return queue.running

    @admin.display(description="oldest waits", empty_value="")
    def oldest(self, queue: Queue) -> str | None:
        """For how long the first of those has been ready."""
        return None if queue.oldest is None else timesince(queue.oldest, database_clock.now(), depth=1)

    @admin.display(description="tasks")
    def shown(self, queue: Queue) -> SafeString:
        """The way to its tasks."""
        link = f"{reverse('admin:tasks_task_changelist')}?{urlencode({'queue': queue.name})}"
        return format_html('<a href="{}">Show</a>', link)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A task makes its queue."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Queue | None = None) -> bool:
        """Queues stay."""
        return False

    def save_model(self, request: HttpRequest, obj: Queue, form: QueueForm, change: bool) -> None:
        """Have it written."""
        if form.asked:
            changes.configure_queue(obj.name, form.asked, request.user.identity)

    @admin.action(description="Pause the chosen queues", permissions=["change"])
    def pause(self, request: HttpRequest, chosen: QuerySet[Queue]) -> None:
        """Hold back their tasks."""
        for queue in chosen:
            changes.pause_queue(queue.name, request.user.identity)
        self.message_user(request, f"Queues paused: {len(chosen)}.", messages.SUCCESS)

    @admin.action(description="Resume the chosen queues", permissions=["change"])
    def resume(self, request: HttpRequest, chosen: QuerySet[Queue]) -> None:
        """Hand out their tasks again."""
        for queue in chosen:
            changes.resume_queue(queue.name, request.user.identity)
        self.message_user(request, f"Queues resumed: {len(chosen)}.", messages.SUCCESS)


@admin.register(HandlerLimits)
class HandlerLimitsAdmin(AdminPage):
    """What operators say about the limits of handlers; to delete it gives way to what these declare."""

    audited_as = "handler"
    form = HandlerLimitsForm
    list_display = ("name", *LIMITS)
    search_fields = ("name__lower__contains",)
    ordering = ("name",)

    def get_readonly_fields(self, request: HttpRequest, obj: HandlerLimits | None = None) -> tuple[str, ...]:
        """What is said of one handler is not said of another."""
        return ("name",) if obj else ()

    def save_model(self, request: HttpRequest, obj: HandlerLimits, form: HandlerLimitsForm, change: bool) -> None:
        """Have it written."""
        if form.asked:
            changes.configure_handler_limits(obj.name, form.asked, request.user.identity)

    def delete_model(self, request: HttpRequest, obj: HandlerLimits) -> None:
        """Have nothing said any more."""
        changes.configure_handler_limits(obj.name, dict.fromkeys(LIMITS), request.user.identity)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[HandlerLimits]) -> None:
        """Have nothing said of any of them."""
        for said in queryset:
            self.delete_model(request, said)
