"""The Django admin as a whole: its door, its first page, who comes in."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from accounts import authentication
from accounts.admin_pages import name_of
from accounts.models import AuditEntry
from accounts.views import request_address
from dtq_site.foundation.errors import DTQError

LATEST_ENTRIES = 12
_IN_ORDER = (
    "Task",
    "Queue",
    "BulkRequest",
    "HandlerLimits",
    "Worker",
    "Schedule",
    "Webhook",
    "WebhookDelivery",
    "AuditEntry",
    "User",
    "Team",
    "WorkerToken",
)

View = Callable[..., HttpResponse]


class ThrottledLoginForm(AdminAuthenticationForm):
    """The admin's door: the same limits on guessing as the API's, and either of the two names."""

    def clean(self) -> dict[str, Any]:
        """Verify the password; who is no admin is refused."""
        login, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if login and password:
            try:
                user = authentication.verify_login(
                    login=login, password=password, address=request_address(self.request)
                )
            except DTQError as error:
                raise ValidationError(error.message) from None
            self.confirm_login_allowed(user)
            self.user_cache = user
        return self.cleaned_data


class OperatorsSite(admin.AdminSite):
    """The admin for those whose role is ADMIN."""

    site_header = site_title = "DTQ"
    index_title = "Administration"
    login_form = ThrottledLoginForm
    enable_nav_sidebar = False  # lists are wide

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        """Django's guard, which shows its door to whoever may not come in. Who has signed in and may not is refused a change."""
        guarded = super().admin_view(view, cacheable)

        @wraps(guarded)
        def refusing(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            wants_change = request.method == "POST" and request.path != reverse("admin:logout")
            if wants_change and request.user.is_authenticated and not self.has_permission(request):
                raise PermissionDenied
            return guarded(request, *args, **kwargs)

        return refusing

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The first page, with what was done last."""
        entries = [(entry, name_of(entry) or entry.target) for entry in AuditEntry.objects.all()[:LATEST_ENTRIES]]
        return super().index(request, {"entries": entries, **(extra_context or {})})

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        """The pages, those that one needs at night first."""
        place = {name: number for number, name in enumerate(_IN_ORDER)}
        apps = super().get_app_list(request, app_label)
        for app in apps:
            app["models"].sort(key=lambda model: place.get(model["object_name"], len(place)))
        return sorted(apps, key=lambda app: place.get(app["models"][0]["object_name"], len(place)))

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The page for anybody's password, in place of Django's own, where one could guess the present one without limit."""
        return redirect("admin:auth_user_password_change", request.user.pk)
