"""Users and teams in the Django admin; `registration.py` writes them."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
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
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse

from accounts import credentials, registration
from accounts.admin_pages import AdminPage, TeamFilter
from accounts.identity import Identity
from accounts.models import Team, User
from dtq_site.foundation.errors import BadInput


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


@admin.register(User)
class AccountAdmin(AdminPage, UserAdmin):
    """Accounts: add, edit, deactivate. Nobody is deleted, for their tasks name them."""

    audited_as = "user"
    autocomplete_fields = ("team",)
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
    list_display = ("username", "email", "name", "role", "team", "is_active", "last_login")
    list_filter = ("role", "is_active", TeamFilter)
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
class TeamAdmin(AdminPage):
    """Teams: add and rename."""

    audited_as = "team"
    fields = ("name",)
    list_display = ("name", "members", "created_at")
    search_fields = ("name__lower__contains",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Team]:
        """The teams, each with how many accounts are in it."""
        accounts = User.objects.filter(team=OuterRef("pk")).order_by().values("team").annotate(accounts=Count("pk"))
        return super().get_queryset(request).annotate(members=Coalesce(Subquery(accounts.values("accounts")), 0))

    @admin.display(description="accounts")
    def members(self, team: Team) -> int:
        """How many accounts are in it."""
        return team.members

    def has_delete_permission(self, request: HttpRequest, obj: Team | None = None) -> bool:
        """Never: its tasks name it."""
        return False

    def save_model(self, request: HttpRequest, obj: Team, form: forms.ModelForm, change: bool) -> None:
        """Write the name."""
        if change:
            registration.rename_team(obj.id, obj.name, request.user.identity)
        else:
            obj.id = registration.add_team(obj.name, request.user.identity).id
