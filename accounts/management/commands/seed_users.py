"""`manage.py seed_users`: the demo accounts."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts import demo
from accounts.registration import DEFAULT_TEAM


class Command(BaseCommand):
    """Make an account for each role, named after it, in one team; leave those alone that exist."""

    help = (
        f"Create the demo accounts {', '.join(demo.ROLES)} (password: the name and 123) in the team {DEFAULT_TEAM!r}."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Create what is missing; refuses in production, where everybody would know these passwords."""
        if settings.PRODUCTION:
            raise CommandError("Everybody knows the demo passwords: production has none. Use createsuperuser instead.")
        for role in demo.ROLES:
            made = demo.make(role)
            self.stdout.write(f"{role}: created, password {demo.password(role)}" if made else f"{role}: exists")
