"""Migrations take the time that they take: while they run, the database's answers are waited for without end."""

from __future__ import annotations

from typing import Any

from django.db import connections
from django.db.models.signals import post_migrate, pre_migrate

_LIMITS = ("read_timeout", "write_timeout")
_lifted: dict[str, dict[str, int]] = {}


def lift_time_limits_for_migrations() -> None:
    """Have Django do so whenever it migrates."""
    pre_migrate.connect(_lift, dispatch_uid="lift the database's time limits")
    post_migrate.connect(_put_back, dispatch_uid="put back the database's time limits")


def _lift(using: str, **_: Any) -> None:
    """Called once for each app."""
    options = connections[using].settings_dict["OPTIONS"]
    limits = {name: options.pop(name) for name in _LIMITS if name in options}
    if limits:
        _lifted[using] = limits
        connections[using].close()


def _put_back(using: str, **_: Any) -> None:
    if using in _lifted:
        connections[using].settings_dict["OPTIONS"].update(_lifted.pop(using))
        connections[using].close()
