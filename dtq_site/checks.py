"""What `manage.py check --deploy` says about the installation, in the words of our settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register

from dtq_site.production import Warned, warnings

NOT_PRODUCTION = Warned(
    10, "This is a development installation: it tells strangers of its errors.", "Set DTQ_ENV=production."
)
NOT_COLLECTED = Warned(
    11, "The static files have not been collected, and are looked for at every start.", "Run manage.py collectstatic."
)


@register(Tags.security, deploy=True)
def check_installation(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """A warning for each thing that may be unsafe in production; in development that it is no other."""
    found = _found() if settings.PRODUCTION else [NOT_PRODUCTION]
    return [Warning(each.what, hint=each.remedy, id=f"dtq.W{each.number:03}") for each in found]


def _found() -> list[Warned]:
    found = warnings(
        settings.DTQ_SITE,
        settings.DTQ_ACCOUNTS,
        settings.DTQ_TASKS,
        database=settings.DATABASES["default"],
        redis_urls=(settings.REDIS_URL, settings.DISPATCH_REDIS_URL),
    )
    return found if Path(settings.STATIC_ROOT).is_dir() else [*found, NOT_COLLECTED]
