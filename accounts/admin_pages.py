"""What all pages of the Django admin have in common. The apps' `admin` modules declare the pages.

No page counts a table or looks for the distinct values of a column, and nothing is noted in Django's own log of the admin:
what somebody did is in the audit log, whichever way it was done.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.db.models.functions import Lower
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.http import urlencode

from accounts.models import AuditEntry, Team
from dtq_site.foundation.database import KeyField
from dtq_site.foundation.errors import BadInput, Conflict, NotFound

KeyField.register_lookup(Lower)  # keys are compared byte by byte, and people search in any case

MOST_COUNTED = 5_000
MOST_OFFERED = 200


def in_utc(moment: datetime) -> str:
    """The moment to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def name_of(entry: AuditEntry) -> str:
    """What people call the target, where the facts say so."""
    name = entry.facts.get("username") or entry.facts.get("name") or ""
    return name[-1] if isinstance(name, list) else name  # what it was, and what it is


class BoundedPaginator(Paginator):
    """Pages of the first MOST_COUNTED rows; filters and the search lead to the others."""

    @cached_property
    def count(self) -> int:
        """How many rows there are, counted no further than that."""
        return len(self.object_list.order_by().values_list("pk")[:MOST_COUNTED])


class AdminPage(admin.ModelAdmin):
    """A kind of rows. `audited_as` is what the audit log calls them; the history of a row is what is noted there."""

    audited_as = ""
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Whether a filter of the page asks so.

        Django lets any column be asked for, by how it begins too: by that a secret is guessed letter by letter.
        """
        asked = (
            (f"{each}__exact", f"{each}__isnull") if isinstance(each, str) else (each.parameter_name,)
            for each in self.get_list_filter(request)
        )
        return lookup in itertools.chain.from_iterable(asked)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Django's, in any case: a key is compared in lower case where `search_fields` says `__lower`."""
        return super().get_search_results(request, queryset, search_term.lower())

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The audit log of the row."""
        target = urlencode({"q": f"{self.audited_as}:{unquote(object_id)}"})
        return HttpResponseRedirect(f"{reverse('admin:accounts_auditentry_changelist')}?{target}")

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Nothing: the audit log has it."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Nothing: the audit log has it."""

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Nothing: the audit log has it."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Django's page, named after its rows; leads back to it, with the reason, where an action was refused."""
        context = {"title": str(self.opts.verbose_name_plural).capitalize(), **(extra_context or {})}
        try:
            return super().changelist_view(request, context)
        except (BadInput, Conflict, NotFound) as refusal:
            return _back(request, refusal)

    def ask(self, request: HttpRequest, action: str, question: str, chosen: QuerySet[Any]) -> HttpResponse | None:
        """A page that asks whether that is to be done to the chosen rows; None once somebody has said so."""
        if "confirmed" in request.POST:
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": f"{question}?",
            "question": question,
            "opts": self.opts,
            "action": action,
            "chosen": chosen,
            "checkbox": ACTION_CHECKBOX_NAME,
            "across": request.POST.get("select_across", "0"),
            "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "back": request.get_full_path(),
        }
        return TemplateResponse(request, "admin/confirm.html", context)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Django's page; leads back to it, with the reason, where a change was refused only when it was written."""
        try:
            return super().changeform_view(request, object_id, *args, **kwargs)
        except (BadInput, Conflict) as refusal:
            return _back(request, refusal)


def _back(request: HttpRequest, refusal: BadInput | Conflict | NotFound) -> HttpResponse:
    messages.error(request, refusal.message)
    return HttpResponseRedirect(request.get_full_path())


class ReadOnlyPage(AdminPage):
    """What nobody adds, edits or deletes here."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Whether the account may call the verbs that the actions call."""
        return request.user.identity.is_admin


class TextFilter(admin.SimpleListFilter):
    """A filter that is typed in; `lookups` are offered while one types, and need not be all."""

    template = "admin/text_filter.html"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        """Nothing."""
        return []

    def has_output(self) -> bool:
        """Always."""
        return True

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        """What the form of the filter is made of."""
        yield {
            "name": self.parameter_name,
            "value": self.value() or "",
            "offered": [value for value, _ in self.lookup_choices],
            "others": {name: value for name, value in changelist.params.items() if name != self.parameter_name},
            "without": changelist.get_query_string(remove=[self.parameter_name]),
        }


class TeamFilter(TextFilter):
    """By the name of a team."""

    title = "team"
    parameter_name = "team"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        """The first teams."""
        return [(name, name) for name in Team.objects.values_list("name", flat=True)[:MOST_OFFERED]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows of that team."""
        name = self.value()
        return queryset.filter(team__name=name) if name else queryset
