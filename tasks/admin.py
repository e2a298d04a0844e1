"""Queues and the limits of handlers in the Django admin. Whatever is done here is done and noted by `changes.py`."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from graphene.utils.str_converters import to_snake_case

from dtq_site.foundation.errors import BadInput
from tasks import changes, limits, queues
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


@admin.register(Queue)
class QueueAdmin(admin.ModelAdmin):
    """Queues: how they are served, what limits them, pause and resume. They come into being with their first task."""

    form = QueueForm
    list_display = ("name", "paused", "weight", "ageing_seconds", *LIMITS)
    list_filter = ("paused",)
    search_fields = ("name",)
    ordering = ("name",)
    actions = ("pause", "resume")

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
            self.log_change(request, queue, "paused")
        self.message_user(request, f"Queues paused: {len(chosen)}.", messages.SUCCESS)

    @admin.action(description="Resume the chosen queues", permissions=["change"])
    def resume(self, request: HttpRequest, chosen: QuerySet[Queue]) -> None:
        """Hand out their tasks again."""
        for queue in chosen:
            changes.resume_queue(queue.name, request.user.identity)
            self.log_change(request, queue, "resumed")
        self.message_user(request, f"Queues resumed: {len(chosen)}.", messages.SUCCESS)


@admin.register(HandlerLimits)
class HandlerLimitsAdmin(admin.ModelAdmin):
    """What operators say about the limits of handlers; to delete it gives way to what these declare."""

    form = HandlerLimitsForm
    list_display = ("name", *LIMITS)
    search_fields = ("name",)
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
