"""Users, teams, worker tokens and the audit log in the Django admin. Whatever is edited here is written by the modules that own
the rows.
"""

from __future__ import annotations

import copy
from datetime import UTC
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import (
    AdminPasswordChangeForm,
    BaseUserCreationForm,
    ReadOnlyPasswordHashField,
    ReadOnlyPasswordHashWidget,
    UserChangeForm,
)
from django.contrib.auth.hashers import is_password_usable
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect

from accounts import authentication, credentials, registration, worker_tokens
from accounts.identity import Identity
from accounts.models import AuditEntry, Team, User, WorkerToken
from accounts.views import request_address
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.errors import BadInput, Conflict, DTQError


class NormalisedForm(forms.ModelForm):
    """Puts name and address into the form in which they are kept, so that the form finds out which are taken."""

    def clean_username(self) -> str:
        """The user name as it is kept."""
        return self._normal(credentials.normal_username, "username")

    def clean_email(self) -> str:
        """The e-mail address as it is kept."""
        return self._normal(credentials.normal_email, "email")

    def _normal(self, normalise: Any, field: str) -> str:
        try:
            return normalise(self.cleaned_data[field])
        except BadInput as error:
            raise ValidationError(error.message) from None


class NewUserForm(NormalisedForm, BaseUserCreationForm):
    """A new account."""

    class Meta:
        model = User
        fields = ("username", "email", "name", "role", "team")


class PasswordState(ReadOnlyPasswordHashWidget):
    """Says whether there is a password, and nothing of its hash."""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """One line in place of the parts of the hash."""
        state = "There is one." if value and is_password_usable(value) else "None fits."
        return super().get_context(name, value, attrs) | {"summary": [{"label": state}]}


class AccountForm(NormalisedForm, UserChangeForm):
    """An account that exists."""

    password = ReadOnlyPasswordHashField(label="Password", widget=PasswordState)

    class Meta:
        model = User
        fields = "__all__"


class PasswordForm(AdminPasswordChangeForm):
    """Another password for an account, or none."""

    def __init__(self, user: User, *args: Any, by: Identity, **kwargs: Any) -> None:
        super().__init__(user, *args, **kwargs)
        self._by = by

    def save(self, commit: bool = True) -> User:
        """Write it."""
        new = self.cleaned_data["password1"] if self.cleaned_data["set_usable_password"] else None
        registration.set_password(self.user.id, new, self._by)
        self.user.refresh_from_db()
        return self.user


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


def change_own_password(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    """The page for anybody's password, in place of Django's own, where one could guess the present one without limit."""
    return redirect("admin:auth_user_password_change", request.user.pk)


admin.site.site_header = admin.site.site_title = "DTQ"
admin.site.index_title = "Administration"
admin.site.login_form = ThrottledLoginForm
admin.site.password_change = change_own_password


class RefusalsShown(admin.ModelAdmin):
    """Tells of a change that was refused only when it was written, and leads back to the page."""

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Django's page."""
        try:
            return super().changeform_view(request, object_id, *args, **kwargs)
        except (BadInput, Conflict) as refusal:
            messages.error(request, refusal.message)
            return HttpResponseRedirect(request.get_full_path())


@admin.register(User)
class AccountAdmin(RefusalsShown, UserAdmin):
    """Accounts: add, edit, deactivate. Nobody is deleted, for their tasks name them."""

    add_form = NewUserForm
    add_fieldsets = ((None, {"fields": (*NewUserForm.Meta.fields, "password1", "password2")}),)
    form = AccountForm
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("email", "name")}),
        ("Access", {"fields": ("role", "team", "is_active")}),
        ("History", {"fields": ("created_at", "last_login")}),
    )
    filter_horizontal = ()
    list_display = ("username", "email", "name", "role", "team", "is_active")
    list_filter = ("role", "is_active")
    list_select_related = ("team",)
    search_fields = ("username", "email", "name")

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """A user name stays what it was, because tokens and logs bear it."""
        return ("username", "created_at", "last_login") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Never: make the account inactive instead."""
        return False

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """Django's page, whose form is told who acts."""
        page = copy.copy(self)  # this object serves all requests at once
        page.change_password_form = partial(PasswordForm, by=request.user.identity)
        return super(AccountAdmin, page).user_change_password(request, id, form_url)

    def save_model(self, request: HttpRequest, obj: User, form: forms.ModelForm, change: bool) -> None:
        """Write what the form shows."""
        by = request.user.identity
        if change:
            registration.update_user(obj.id, {field: getattr(obj, field) for field in form.changed_data}, by)
        else:
            values = {"email": obj.email, "name": obj.name, "role": obj.role, "team": obj.team}
            password = form.cleaned_data["password1"]
            obj.id = registration.create_user(username=obj.username, password=password, by=by, **values).id


@admin.register(Team)
class TeamAdmin(RefusalsShown):
    """Teams: add and rename."""

    fields = ("name",)
    list_display = ("name", "created_at")
    search_fields = ("name",)

    def has_delete_permission(self, request: HttpRequest, obj: Team | None = None) -> bool:
        """Never: its tasks name it."""
        return False

    def save_model(self, request: HttpRequest, obj: Team, form: forms.ModelForm, change: bool) -> None:
        """Write the name."""
        if change:
            registration.rename_team(obj.id, obj.name, request.user.identity)
        else:
            obj.id = registration.add_team(obj.name, request.user.identity).id


class ToBeLookedAt(admin.ModelAdmin):
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


@admin.register(WorkerToken)
class WorkerTokenAdmin(ToBeLookedAt):
    """Worker tokens, to look at and to revoke. They are issued where their text can be shown, once."""

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

    @admin.action(description="Revoke, and give back to the line what their workers hold", permissions=["view"])
    def revoke(self, request: HttpRequest, tokens: QuerySet[WorkerToken]) -> None:
        """Refuse the selected tokens from now on."""
        for token in tokens:
            worker_tokens.revoke(token.pk, request.user.identity)
        self.message_user(request, f"Revoked: {', '.join(token.name for token in tokens)}.")


@admin.register(AuditEntry)
class AuditEntryAdmin(ToBeLookedAt):
    """The audit log, to read."""

    list_display = ("moment", "actor", "action", "named", "target")
    list_display_links = ("moment", "action")
    list_filter = ("action",)
    search_fields = ("actor", "target", "facts")
    readonly_fields = fields = ("moment", "actor", "actor_id", "action", "target", "facts")
    show_full_result_count = False

    @admin.display(description="at (UTC)")
    def moment(self, entry: AuditEntry) -> str:
        """When, to the second."""
        return entry.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")

    @admin.display(description="name")
    def named(self, entry: AuditEntry) -> str:
        """What people call the target, where the facts say so."""
        name = entry.facts.get("username") or entry.facts.get("name") or ""
        return name[-1] if isinstance(name, list) else name  # what it was, and what it is
