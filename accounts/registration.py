"""The only writer of users and teams. The edges decide who may call what; this module keeps the rows right.

Names and e-mail addresses are kept in lower case. A name has no @ unless it was its owner's address at registration;
so what is typed at a login means one account or none: with an @ an address, without one a name.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, connection, transaction
from django.db.models import F

from accounts.models import Team, User
from accounts.roles import Role
from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.database import database_clock, repeats_lock_conflicts
from dtq_site.foundation.errors import BadInput, Conflict, Forbidden

LONGEST_PASSWORD = 1024
_USERNAME = re.compile(r"[a-z0-9][a-z0-9._+-]*")


def registration_is_open() -> bool:
    """Whether anybody may make an account of their own."""
    choice = settings.DTQ_ACCOUNTS.registration
    return choice == "open" or (choice == "auto" and not settings.PRODUCTION)


def register(*, email: str, password: str, name: str = "", username: str | None = None) -> User:
    """Create a user with role USER in a team of its own. Without a user name the e-mail address serves as one.

    Raises Forbidden where registration is closed, BadInput or Conflict naming the field.
    """
    if not registration_is_open():
        raise Forbidden("Registration is closed here; ask an administrator for an account.")
    email = normal_email(email)
    username = email if username is None else normal_username(username)
    check_new_password(password, User(username=username, email=email), field="password")
    return create_user(username=username, email=email, password=password, name=name)


def create_user(
    *,
    username: str,
    email: str,
    password: str | None,
    name: str = "",
    role: Role = Role.USER,
    team: Team | None = None,
    is_active: bool = True,
) -> User:
    """Create a user, in a team of its own that bears its name unless `team` is given.

    The password is taken as it is; None is one that never fits. Raises BadInput or Conflict naming the field.
    """
    email = normal_email(email)
    user = User(
        username=email if username.strip().lower() == email else normal_username(username),
        email=email,
        name=plain_text(name, "name", longest=200),
        role=role,
        is_active=is_active,
        password=make_password(password),  # before the transaction: it takes a tenth of a second
    )
    _insert(user, team)
    return user


@repeats_lock_conflicts
def _insert(user: User, team: Team | None) -> None:
    user.created_at = database_clock.now()
    try:
        with transaction.atomic():
            user.team = team or add_team(user.username)
            user.save(force_insert=True)
    except IntegrityError:
        _raise_conflict(user)
        raise


def _raise_conflict(user: User) -> None:
    """Say which value is taken; the database's own message differs from server to server."""
    others = User.objects.exclude(id=user.id)
    if others.filter(email=user.email).exists():
        raise Conflict("This e-mail address has an account already; sign in, or give another one.", field="email")
    if others.filter(username=user.username).exists() or Team.objects.filter(name=user.username).exists():
        raise Conflict("This user name is taken; choose another one.", field="username")


def update_user(user_id: UUID, *, email: str, name: str, role: Role, team: Team, is_active: bool) -> None:
    """Write what an administrator may change; it counts from the user's next request on, tokens or not.

    Making a user inactive also ends its tokens, so that they stay worthless when it is made active again.
    """
    user = User(id=user_id, email=normal_email(email))
    changes: dict[str, Any] = {"name": plain_text(name, "name", longest=200), "role": role, "team": team}
    if not is_active:
        changes["token_version"] = F("token_version") + 1
    try:
        with transaction.atomic():
            User.objects.filter(id=user_id).update(email=user.email, is_active=is_active, **changes)
    except IntegrityError:
        _raise_conflict(user)
        raise


def change_password(user: User, new: str, *, field: str) -> None:
    """Give the user another password and end all its tokens.

    Raises BadInput on `field`, or Conflict if the password has changed since `user` was read.
    """
    check_new_password(new, user, field=field)
    unchanged = User.objects.filter(id=user.id, password=user.password)
    if not unchanged.update(password=make_password(new), token_version=F("token_version") + 1):
        raise Conflict("The password was changed by another request meanwhile; sign in again.")


def rehash_password(user: User, password: str) -> None:
    """Store the user's present password by today's hasher, unless it has changed since `user` was read."""
    User.objects.filter(id=user.id, password=user.password).update(password=make_password(password))


def add_team(name: str) -> Team:
    """Create a team. A name that is taken raises IntegrityError."""
    return Team.objects.create(name=plain_text(name, "name", longest=254), created_at=database_clock.now())


def team_named(name: str) -> Team:
    """The team of that name, created if there is none."""
    return Team.objects.get_or_create(name=name, defaults={"created_at": database_clock.now()})[0]


def team_id_named(name: str) -> UUID:
    """As `team_named`, its id; whose the name is, is remembered for some seconds."""
    known = _remembered.get(name)
    if known and elapsed_clock() < known[1]:
        return known[0]
    team_id: UUID = team_named(name).id
    if not connection.in_atomic_block:  # else it may still be rolled back
        _remembered[name] = team_id, elapsed_clock() + _REMEMBERED_SECONDS
    return team_id


_REMEMBERED_SECONDS = 5.0
_remembered: dict[str, tuple[UUID, float]] = {}


def forget_teams() -> None:
    """Drop the memory of whose names are, as after a change of one, or of the database."""
    _remembered.clear()


def rename_team(team_id: UUID, name: str) -> None:
    """Give a team another name. A name that is taken raises IntegrityError."""
    Team.objects.filter(id=team_id).update(name=plain_text(name, "name", longest=254))
    forget_teams()


def plain_text(text: str, field: str, *, longest: int) -> str:
    """`text` without blanks around it; raises BadInput if it is too long or has characters that no text has."""
    text = text.strip()
    if len(text) > longest:
        raise BadInput(f"It has {len(text)} characters; at most {longest} are allowed.", field=field)
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise BadInput("It has control characters or half a surrogate pair; remove them.", field=field)
    return text


def normal_username(text: str) -> str:
    """The user name as it is kept; raises BadInput."""
    username = plain_text(text, "username", longest=150).lower()
    if not _USERNAME.fullmatch(username):
        message = "A user name has letters of ASCII, digits, '.', '_', '+' and '-', and begins with a letter or digit."
        raise BadInput(message, field="username")
    return username


def normal_email(text: str) -> str:
    """The e-mail address as it is kept; raises BadInput."""
    email = plain_text(text, "email", longest=254).lower()
    try:
        validate_email(email)
    except ValidationError:
        raise BadInput("This is no e-mail address; write one such as ann@example.com.", field="email") from None
    return email


def check_new_password(password: str, user: User, *, field: str) -> None:
    """Raise BadInput on `field`, saying all that is wrong with the password for this user."""
    check_password_text(password, field=field)
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise BadInput(" ".join(error.messages), field=field) from None


def check_password_text(password: str, *, field: str) -> None:
    """Raise BadInput on `field` if the text is too long to be worth hashing, or cannot be hashed at all."""
    if len(password) > LONGEST_PASSWORD:
        raise BadInput(f"A password has at most {LONGEST_PASSWORD} characters.", field=field)
    if not is_encodable(password):
        raise BadInput("It has half a surrogate pair, which is no character; remove it.", field=field)


def is_encodable(text: str) -> bool:
    """Whether `text` can be written as UTF-8; JSON can spell half of a surrogate pair, which cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
