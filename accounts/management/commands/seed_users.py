"""`manage.py seed_users`: the demo accounts."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts import registration
from accounts.models import User
from accounts.roles import Role

TEAM = "default"
DEMO_ROLES = (Role.ADMIN, Role.WORKER, Role.VIEWER, Role.USER)


class Command(BaseCommand):
    """Make an account for each role, named after it, in one team; leave those alone that exist."""

    help = f"Create the demo accounts {', '.join(DEMO_ROLES)} (password: the name and 123) in the team {TEAM!r}."

    def handle(self, *args: Any, **options: Any) -> None:
        """Create what is missing; refuses in production, where everybody would know these passwords."""
        if settings.PRODUCTION:
            raise CommandError("Everybody knows the demo passwords: production has none. Use createsuperuser instead.")
        team = registration.team_named(TEAM)
        for role in DEMO_ROLES:
            if User.objects.filter(username=role).exists():
                self.stdout.write(f"{role}: exists")
                continue
            password, email = f"{role}123", f"{role}@dtq.example"
            registration.create_user(
                username=role, email=email, password=password, name=f"Demo {role}", role=role, team=team
            )
            self.stdout.write(f"{role}: created, password {password}")
