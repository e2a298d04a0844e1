"""The demo accounts, whose passwords everybody knows: made for trying DTQ out, refused in production."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.hashers import check_password
from django.db import DatabaseError

from accounts import registration
from accounts.models import User
from accounts.roles import Role
from dtq_site.foundation.options import OptionsError

ROLES = (Role.ADMIN, Role.WORKER, Role.VIEWER, Role.USER)


def password(role: Role) -> str:
    """The password of the demo account of that role, which is named after it."""
    return f"{role}123"


def make(role: Role) -> bool:
    """Make the demo account of a role; False if there is an account of that name already."""
    if User.objects.filter(username=role).exists():
        return False
    registration.create_user(
        username=role,
        email=f"{role}@dtq.example",
        password=password(role),
        name=f"Demo {role}",
        role=role,
        team=registration.team_named(registration.DEFAULT_TEAM),
    )
    return True


def refuse_in_production() -> None:
    """Raise OptionsError if this is production and a demo account still has the password that everybody knows."""
    if not settings.PRODUCTION:
        return
    try:
        found = dict(User.objects.filter(username__in=ROLES, is_active=True).values_list("username", "password"))
    except DatabaseError:
        return  # nobody can sign in either, and the next start asks again
    known = [name for name, encoded in found.items() if check_password(password(Role(name)), encoded)]
    if known:
        names = ", ".join(sorted(known))
        raise OptionsError(
            [f"The demo accounts {names} have their well-known passwords. Change these or remove the accounts."]
        )
