"""The only writer of users and teams. The edges decide who may call what; this module keeps the rows right.

Names and e-mail addresses are kept folded, so that all spellings of one are the same. A name has no @ unless it was its
owner's address at registration; so what is typed at a login means one account or none: with an @ an address, without one
a name. Whatever is changed here is in the audit log; `by` is who did it, None a command on the server.
"""

from __future__ import annotations

from typing import Any, TypedDict
from uuid import UUID

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, connection, transaction
from django.db.models import F

from accounts import audit, throttle
from accounts.credentials import check_new_password, folded, normal_email, normal_username, plain_text
from accounts.identity import Identity
from accounts.models import Team, User
from accounts.roles import Role
from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.database import database_clock, repeats_lock_conflicts
from dtq_site.foundation.errors import BadInput, Conflict, Forbidden, NotFound

DEFAULT_TEAM = "default"
"""Whose the tasks are that code makes. It may come to be later than an account, so no account has its name for a team's."""

_TAKEN = "This user name is taken; choose another one."
_ENDS_TOKENS = {"token_version": F("token_version") + 1, "kept_session": None}


class AccountChanges(TypedDict, total=False):
    """What an administrator may change of an account."""

    email: str
    name: str
    role: Role
    team: Team
    is_active: bool


def registration_is_open() -> bool:
    """Whether anybody may make an account of their own."""
    choice = settings.DTQ_ACCOUNTS.registration
    return choice == "open" or (choice == "auto" and not settings.PRODUCTION)


def register(*, email: str, password: str, address: str, name: str = "", username: str | None = None) -> User:
    """Create a user with role USER in a team of its own. Without a user name the e-mail address serves as one.

    Raises Forbidden where registration is closed, BadInput or Conflict naming the field, or RateLimited when too many
    come from `address`: who is told that a name is taken must not be able to ask for thousands of them.
    """
    if not registration_is_open():
        raise Forbidden("Registration is closed here; ask an administrator for an account.")
    user = _new_user(username=email if username is None else username, email=email, name=name)
    check_new_password(password, user, field="password")
    throttle.count_registration(address)
    user.password = make_password(password)
    _insert(user, None, None, "user.registered")
    return user


def create_user(
    *,
    username: str,
    email: str,
    password: str | None,
    team: Team | None = None,
    by: Identity | None = None,
    **fields: Any,
) -> User:
    """Create a user, in a team of its own that bears its name unless `team` is given.

    The password is taken as it is; None is one that never fits. `fields` are those of the model: `name`, `role`,
    `is_active`. Raises BadInput or Conflict naming the field.
    """
    user = _new_user(username=username, email=email, **fields)
    user.password = make_password(password)  # before the transaction: it takes a tenth of a second
    _insert(user, team, by, "user.created")
    return user


def _new_user(*, username: str, email: str, name: str = "", role: Role = Role.USER, is_active: bool = True) -> User:
    """The object, with its values in the form in which they are kept."""
    address = normal_email(email)
    return User(
        username=address if folded(username) == address else normal_username(username),
        email=address,
        name=plain_text(name, "name", longest=200),
        role=role,
        is_active=is_active,
    )


@repeats_lock_conflicts
def _insert(user: User, team: Team | None, by: Identity | None, action: str) -> None:
    if team is None and user.username == DEFAULT_TEAM:
        raise Conflict(_TAKEN, field="username")
    user.created_at = database_clock.now()
    try:
        with transaction.atomic():
            user.team = team or _insert_team(user.username)
            user.save(force_insert=True)
    except IntegrityError:
        _raise_conflict(user)
        raise
    facts = {"username": user.username, "role": _told(user.role), "team": user.team.name}
    audit.record(by, action, _target(user.id), facts)


def _raise_conflict(user: User) -> None:
    """Say which value is taken; the database's own message differs from server to server."""
    others = User.objects.exclude(id=user.id)
    if others.filter(email=user.email).exists():
        raise Conflict("This e-mail address has an account already; sign in, or give another one.", field="email")
    if others.filter(username=user.username).exists() or Team.objects.filter(name=user.username).exists():
        raise Conflict(_TAKEN, field="username")


@repeats_lock_conflicts
def update_user(user_id: UUID, changes: AccountChanges, by: Identity | None = None) -> None:
    """Write what an administrator may change; it counts from the user's next request on, tokens or not.

    Making a user inactive also ends its tokens, so that they stay worthless when it is made active again. Raises NotFound,
    BadInput, or Conflict if the e-mail address is taken or no active administrator would be left.
    """
    user = _locked(user_id)
    before = {column: getattr(user, column) for column in changes}
    after = _checked(changes)
    if before == after:
        return
    was_active, was_admin = user.is_active, _is_active_admin(user)
    for column, value in after.items():
        setattr(user, column, value)
    if was_admin and not _is_active_admin(user):
        _keep_an_administrator(user)
    try:
        with transaction.atomic():
            ended = _ENDS_TOKENS if was_active and not user.is_active else {}
            User.objects.filter(id=user_id).update(**after, **ended)
    except IntegrityError:
        _raise_conflict(user)
        raise
    told = {
        column: [_told(before[column]), _told(after[column])] for column in after if before[column] != after[column]
    }
    audit.record(by, "user.changed", _target(user_id), {"username": user.username, **told})


def _locked(user_id: UUID) -> User:
    user = User.objects.select_for_update().filter(id=user_id).first()
    if user is None:
        raise NotFound("There is no such user.")
    return user


def _checked(changes: AccountChanges) -> dict[str, Any]:
    after: dict[str, Any] = dict(changes)
    if "email" in changes:
        after["email"] = normal_email(changes["email"])
    if "name" in changes:
        after["name"] = plain_text(changes["name"], "name", longest=200)
    return after


def _is_active_admin(user: User) -> bool:
    return user.is_active and user.role == Role.ADMIN


def _keep_an_administrator(user: User) -> None:
    """Raise Conflict if there is no other active administrator. Their rows are locked, so no two can remove each other."""
    admins = User.objects.select_for_update().filter(role=Role.ADMIN, is_active=True).order_by("id")
    if set(admins.values_list("id", flat=True)) <= {user.id}:
        raise Conflict("This is the last active administrator; make another one first.")


def _told(value: Any) -> Any:
    """The value as the audit log has it."""
    if isinstance(value, Team):
        return value.name
    return str(value) if isinstance(value, Role) else value


def _target(user_id: UUID) -> str:
    return f"user:{user_id}"


@repeats_lock_conflicts
def change_password(user: User, encoded: str, *, kept_session: UUID | None) -> None:
    """Give the user another password, which was hashed already, and end all its tokens but those of `kept_session`.

    Raises Conflict if the password has changed since `user` was read.
    """
    changes = {**_ENDS_TOKENS, "password": encoded, "kept_session": kept_session}
    if not User.objects.filter(id=user.id, password=user.password).update(**changes):
        raise Conflict("The password was changed by another request meanwhile; sign in again.")
    audit.record(user.identity, "user.password_changed", _target(user.id), {"username": user.username})


def set_password(user_id: UUID, new: str | None, by: Identity | None = None) -> None:
    """Give a user another password, or with None take it away, and end all its tokens. Raises NotFound and BadInput."""
    user = User.objects.filter(id=user_id).first()
    if user is None:
        raise NotFound("There is no such user.")
    if new is not None:
        check_new_password(new, user, field="password")
    encoded = make_password(new)  # before the transaction: it takes a tenth of a second
    action = "user.password_removed" if new is None else "user.password_set"
    _end_tokens(user_id, action, by, password=encoded)


def end_sessions(user_id: UUID, by: Identity | None = None) -> None:
    """End all tokens of a user. Raises NotFound."""
    _end_tokens(user_id, "user.sessions_ended", by)


@repeats_lock_conflicts
def _end_tokens(user_id: UUID, action: str, by: Identity | None, **columns: Any) -> None:
    user = _locked(user_id)
    User.objects.filter(id=user_id).update(**_ENDS_TOKENS, **columns)
    audit.record(by, action, _target(user_id), {"username": user.username})


def rehash_password(user: User, password: str) -> None:
    """Store the user's present password by today's hasher, unless it has changed since `user` was read."""
    User.objects.filter(id=user.id, password=user.password).update(password=make_password(password))


# --- teams ---------------------------------------------------------------------------------------------------------


@repeats_lock_conflicts
def add_team(name: str, by: Identity | None = None) -> Team:
    """Create a team. Raises BadInput or, where the name is taken, Conflict."""
    name = _team_name(name)
    try:
        with transaction.atomic():
            team = _insert_team(name)
    except IntegrityError:
        raise Conflict("This name is taken; choose another one.", field="name") from None
    audit.record(by, "team.created", f"team:{team.id}", {"name": name})
    return team


def _insert_team(name: str) -> Team:
    return Team.objects.create(name=name, created_at=database_clock.now())


def _team_name(text: str) -> str:
    name = plain_text(text, "name", longest=254)
    if not name:
        raise BadInput("A team needs a name.", field="name")
    return name


@repeats_lock_conflicts
def rename_team(team_id: UUID, name: str, by: Identity | None = None) -> None:
    """Give a team another name. Raises NotFound, BadInput or, where the name is taken, Conflict."""
    name = _team_name(name)
    team = Team.objects.select_for_update().filter(id=team_id).first()
    if team is None:
        raise NotFound("There is no such team.")
    if name == team.name:
        return
    try:
        with transaction.atomic():
            Team.objects.filter(id=team_id).update(name=name)
    except IntegrityError:
        raise Conflict("This name is taken; choose another one.", field="name") from None
    audit.record(by, "team.changed", f"team:{team_id}", {"name": [team.name, name]})
    forget_teams()


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
