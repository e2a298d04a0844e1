"""Schedules in the Django admin. Whatever is done here is done and noted by `changes.py`."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.admin_pages import AdminPage, TeamFilter
from accounts.identity import Identity
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.errors import BadInput
from scheduling import changes, definition
from scheduling.definition import ASKED_OF_TIMING, TASK_COLUMNS, Definition, timing_of
from scheduling.domain.cron import zone
from scheduling.domain.misfires import MisfirePolicy
from scheduling.domain.overlaps import OverlapPolicy
from scheduling.domain.wording import describe
from scheduling.models import Schedule

SHOWN_RUNS = 20
POLICIES = ("misfire_policy", "overlap_policy")
NEEDED = ("team", "name")


class ScheduleForm(forms.ModelForm):
    """A schedule as people fill it in; a field that is left empty has its default."""

    misfire_policy = forms.ChoiceField(
        choices=[(each, each) for each in MisfirePolicy], initial=MisfirePolicy.FIRE_ONCE
    )
    overlap_policy = forms.ChoiceField(choices=[(each, each) for each in OverlapPolicy], initial=OverlapPolicy.ALLOW)

    class Meta:
        model = Schedule
        fields = (*NEEDED, *TASK_COLUMNS[1:], *ASKED_OF_TIMING, *POLICIES)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.required = name in (*NEEDED, *POLICIES)

    @property
    def asked(self) -> dict[str, Any]:
        """What the form asks for: of a new schedule everything, else what was changed in it."""
        names = self.fields if self.instance._state.adding else self.changed_data
        values = {name: self.cleaned_data[name] for name in names if name != "team"}
        return {name: None if value == "" else value for name, value in values.items()}

    def clean(self) -> dict[str, Any]:
        """Check it by the rules of the API, each refusal at its field."""
        if not self.errors:
            try:
                self.definition()
            except BadInput as error:
                self.add_error(_form_field(error.field, self.fields), error.message)
        return self.cleaned_data

    def definition(self) -> Definition:
        """What it says. Raises BadInput."""
        now = database_clock.now()
        if self.instance._state.adding:
            return definition.read(self.asked, self.cleaned_data["team"].pk, now)
        return definition.read_changed(self.instance, self.asked, now)


def _form_field(field: str | None, known: dict[str, Any]) -> str | None:
    """The form's name of an API's field; None, which is the whole form, if it has none."""
    name = re.sub(r"([A-Z])", r"_\1", (field or "").partition(".")[0]).lower()
    return name if name in known else None


@admin.register(Schedule)
class ScheduleAdmin(AdminPage):
    """Schedules: add, edit, pause, resume, run now, delete."""

    audited_as = "schedule"
    autocomplete_fields = ("team",)
    form = ScheduleForm
    fieldsets = (
        (None, {"fields": ("team", "name", "title", "description", "payload")}),
        ("When", {"fields": ASKED_OF_TIMING}),
        ("Policies", {"fields": POLICIES}),
        ("Its tasks", {"fields": ("queue", "priority", "max_retries", "timeout_seconds")}),
    )
    state = ("State", {"fields": ("paused", "next_due", "last_fired_at", "next_runs", "user", "created_at")})
    list_display = ("title", "name", "timing", "team", "active", "next_due", "last_fired_at", "shown")
    list_filter = ("paused", TeamFilter)
    list_select_related = ("team",)
    search_fields = ("title", "name__lower__contains")
    ordering = ("title", "id")
    actions = ("pause", "resume", "run_now")

    def get_fieldsets(self, request: HttpRequest, obj: Schedule | None = None) -> Any:
        """One that exists shows its state too."""
        return (*self.fieldsets, self.state) if obj else self.fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Schedule | None = None) -> tuple[str, ...]:
        """A schedule stays in its team, where its tasks are; its state is what its verbs make of it."""
        return ("team", *self.state[1]["fields"]) if obj else ()

    @admin.display(description="active", boolean=True)
    def active(self, schedule: Schedule) -> bool:
        """Whether it makes tasks."""
        return not schedule.paused

    @admin.display(description="tasks")
    def shown(self, schedule: Schedule) -> SafeString:
        """The way to its tasks."""
        link = f"{reverse('admin:tasks_task_changelist')}?schedule={schedule.pk}"
        return format_html('<a href="{}">Show</a>', link)

    @admin.display(description="when")
    def timing(self, schedule: Schedule) -> str:
        """When it is due, in words."""
        return describe(timing_of(schedule))

    @admin.display(description="next runs")
    def next_runs(self, schedule: Schedule) -> SafeString:
        """The next slots, in its zone and in UTC, those marked that a change of the clock touches."""
        timing, place = timing_of(schedule), zone(schedule.timezone)
        slots = islice(timing.slots(database_clock.now()), SHOWN_RUNS)
        runs = [(f"{slot.astimezone(place)} ({slot:%Y-%m-%d %H:%M:%S} UTC)", timing.is_touched(slot)) for slot in slots]
        lines = [(text, ", a change of the clock" if is_touched else "") for text, is_touched in runs]
        return format_html_join(SafeString("<br>"), "{}{}", lines)

    def save_model(self, request: HttpRequest, obj: Schedule, form: ScheduleForm, change: bool) -> None:
        """Have it written."""
        now = database_clock.now()
        if change:
            changes.update(obj.pk, form.asked, request.user.identity, now)
        else:
            made = changes.create(form.definition(), obj.team_id, request.user.identity, now)
            obj.id, obj.title = made.id, made.title

    def delete_model(self, request: HttpRequest, obj: Schedule) -> None:
        """Have it removed with its coming task."""
        changes.delete(obj, request.user.identity)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Have each of them removed."""
        for schedule in queryset:
            self.delete_model(request, schedule)

    @admin.action(description="Pause the chosen schedules", permissions=["change"])
    def pause(self, request: HttpRequest, chosen: QuerySet[Schedule]) -> None:
        """Withdraw their coming tasks."""
        self._each(request, chosen, "paused", lambda schedule, by: changes.pause(schedule.pk, by))

    @admin.action(description="Resume the chosen schedules", permissions=["change"])
    def resume(self, request: HttpRequest, chosen: QuerySet[Schedule]) -> None:
        """Go on with them."""
        now = database_clock.now()
        self._each(request, chosen, "resumed", lambda schedule, by: changes.resume(schedule.pk, by, now))

    @admin.action(description="Run the chosen schedules now", permissions=["change"])
    def run_now(self, request: HttpRequest, chosen: QuerySet[Schedule]) -> None:
        """Make a task of each."""
        now = database_clock.now()
        self._each(request, chosen, "run", lambda schedule, by: changes.run_now(schedule.pk, by, now))

    def _each(
        self, request: HttpRequest, chosen: QuerySet[Schedule], done: str, act: Callable[[Schedule, Identity], object]
    ) -> None:
        for schedule in chosen:
            act(schedule, request.user.identity)
        self.message_user(request, f"Schedules {done}: {len(chosen)}.", messages.SUCCESS)
