"""What can be done to many tasks in the admin, as it is asked for, shown before, and told of afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from dtq_site.foundation.errors import BadInput
from tasks import bulk
from tasks.bulk import Answer, BulkVerb, Preview
from tasks.domain.rates import MAX_RATE_TEXT, Rate
from tasks.domain.states import MOVES, TaskStatus
from tasks.filters import TaskFilter


@dataclass(frozen=True)
class Deed:
    """An action on many tasks: `verb` on those in `statuses`. `usual_rate` is what is proposed, "" as fast as can be; None: it
    has no rate.
    """

    action: str
    verb: BulkVerb
    statuses: frozenset[TaskStatus]
    question: str
    done: str
    usual_rate: str | None = None

    def narrowed(self, wanted: TaskFilter) -> TaskFilter:
        """Those that it concerns."""
        return replace(wanted, status=wanted.statuses & self.statuses)

    def preview(self, wanted: TaskFilter, now: datetime) -> Preview:
        """What it would concern now."""
        return bulk.preview(self.verb, wanted, now)

    def told(self, answer: Answer) -> str:
        """What became of it."""
        if answer.count == 0:
            return "Nothing was done: no task is left that it concerns."
        if answer.done < answer.count:
            return f"Of {answer.count:,} tasks the scheduler takes care, step by step: see the bulk requests."
        return f"Tasks {self.done}: {answer.done:,}."


RETRY = Deed("retry", BulkVerb.RETRY, MOVES["retry"].sources, "Run these tasks again", "that run again", "")
CANCEL = Deed("cancel", BulkVerb.CANCEL, MOVES["cancel"].sources, "Cancel these tasks", "cancelled")
REDRIVE = Deed(
    "redrive",
    BulkVerb.RETRY,
    frozenset({TaskStatus.DEAD_LETTER}),
    "Put these dead letters back into their queues",
    "back in their queues",
    "10/s",
)


class BulkForm(forms.Form):
    """How fast it is to go, where that can be said."""

    rate = forms.CharField(
        required=False,
        max_length=MAX_RATE_TEXT,
        label="Rate",
        help_text=f'so many in a unit of time, such as "10/s" or "100/m", at most {bulk.CHUNK:,} a second; '
        "left empty: as fast as can be",
        widget=forms.TextInput(attrs={"size": 10, "autocomplete": "off"}),
    )

    def __init__(self, data: Mapping[str, Any] | None, deed: Deed) -> None:
        super().__init__(data, initial={"rate": deed.usual_rate})
        if deed.usual_rate is None:
            del self.fields["rate"]

    def clean_rate(self) -> Rate | None:
        """The rate, if there is one."""
        text = self.cleaned_data["rate"]
        try:
            return bulk.read_pace(text) if text else None
        except BadInput as error:
            raise ValidationError(error.message) from None


_NAMES = {"team_id": "team", "schedule_id": "schedule", "worker_id": "worker", "search": "text", "error": "error"}


def in_words(kept: Mapping[str, Any]) -> str:
    """Which tasks a filter means, as `filters.to_json` wrote it."""
    if "ids" in kept:
        return f"{len(kept['ids']):,} tasks by their ids"
    said = (f"{_NAMES.get(name, name).replace('_', ' ')} {_value(value)}" for name, value in kept.items())
    return "all tasks with " + ", ".join(said) if kept else "all tasks"


def _value(value: Any) -> str:
    return " or ".join(sorted(value)) if isinstance(value, list) else str(value)
