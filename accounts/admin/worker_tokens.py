"""Worker tokens in the Django admin, to look at and to revoke. They are issued where their text can be shown, once."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from accounts import worker_tokens
from accounts.admin_pages import ReadOnlyPage
from accounts.models import WorkerToken
from dtq_site.foundation.database import database_clock


@admin.register(WorkerToken)
class WorkerTokenAdmin(ReadOnlyPage):
    """Worker tokens."""

    audited_as = "worker_token"
    fields = ("name", "account", "queues_served", "issued_at", "expires_at", "last_used_at", "revoked_at")
    readonly_fields = fields
    list_display = ("name", "account", "queues_served", "last_used_at", "state")
    list_select_related = ("account",)
    search_fields = ("name", "account__username")
    actions = ("revoke",)

    @admin.display(description="queues")
    def queues_served(self, token: WorkerToken) -> str:
        """The queues that it may serve."""
        return ", ".join(token.queues) or "all"

    @admin.display(description="state")
    def state(self, token: WorkerToken) -> str:
        """Whether it opens anything, and until when."""
        if token.revoked_at is not None:
            return f"revoked {token.revoked_at:%Y-%m-%d}"
        said = "expired" if token.expires_at <= database_clock.now() else "good until"
        return f"{said} {token.expires_at:%Y-%m-%d}"

    @admin.action(description="Revoke, and give back to the line what their workers hold", permissions=["act"])
    def revoke(self, request: HttpRequest, tokens: QuerySet[WorkerToken]) -> HttpResponse | None:
        """Refuse the selected tokens from now on, once that was confirmed: it cannot be undone."""
        if page := self.ask(request, "revoke", "Revoke these worker tokens", tokens):
            return page
        for token in tokens:
            worker_tokens.revoke(token.pk, request.user.identity)
        self.message_user(request, f"Revoked: {', '.join(token.name for token in tokens)}.", messages.SUCCESS)
        return None
