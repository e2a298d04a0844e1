"""Accounts as a Django app."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Error, Tags, register


class AccountsConfig(AppConfig):
    """Registers accounts with Django."""

    name = "accounts"


@register(Tags.security)
def check_blacklist_is_installed(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Without that app a refresh token could be used again and again, and nothing would say so."""
    if apps.is_installed("rest_framework_simplejwt.token_blacklist"):
        return []
    return [
        Error(
            "Used refresh tokens are not remembered.",
            hint="Add 'rest_framework_simplejwt.token_blacklist' to INSTALLED_APPS.",
            id="accounts.E001",
        )
    ]
