"""Who is this? Turns a password or a token into an account, or raises Unauthenticated.

A token only says which row to ask: role, team and whether the account is active come from the row, so a demotion acts
on tokens that are already out.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth.hashers import check_password, make_password
from django.db import connection
from django.db.models import Exists, Q, QuerySet

from accounts import audit, credentials, registration, throttle, tokens
from accounts.identity import Identity
from accounts.models import RevokedSession, User
from accounts.roles import Role
from accounts.tokens import Claims, TokenPair
from dtq_site.foundation.database import repeats_lock_conflicts
from dtq_site.foundation.errors import BadInput, Unauthenticated
from dtq_site.foundation.statements import Statement

_WRONG = "The account or the password is wrong."
_ENDED = "The session has ended; sign in again."


@dataclass(frozen=True)
class SignedIn(TokenPair):
    """Somebody who has just proved who they are, and the tokens that say so from now on."""

    user: User


@dataclass(frozen=True)
class Access:
    """What an access token opened: for whom, in which session, and until when. What still holds, `still_valid` says."""

    identity: Identity
    session_id: UUID
    token_version: int
    expires_at: datetime


def log_in(*, login: str, password: str, address: str) -> SignedIn:
    """Start a session. `login` is a user name or an e-mail address, in any case.

    Raises Unauthenticated, the same for an unknown user, a wrong password and an inactive account, or RateLimited.
    """
    return sign_in(verify_login(login=login, password=password, address=address))


def sign_in(user: User) -> SignedIn:
    """Start a session of somebody who was verified, or registered, just now."""
    return _signed_in(user, uuid4())


def verify_login(*, login: str, password: str, address: str) -> User:
    """The active account with that login and password; raises as `log_in` does."""
    login = credentials.folded(login)
    if not credentials.is_encodable(login):
        raise Unauthenticated(_WRONG)
    column = "email" if "@" in login else "username"
    user = User.objects.select_related("team").filter(**{column: login}).first()
    return _verified(user, password, account=login, address=address)


def change_password(*, identity: Identity, session_id: UUID, current: str, new: str, address: str) -> None:
    """Give the caller another password and end all sessions of the account but this one.

    Raises BadInput on `current` or `new`, RateLimited after too many wrong guesses, or Conflict.
    """
    user = User.objects.filter(id=identity.user_id).first()
    try:
        user = _verified(user, current, account=identity.username, address=address)
    except Unauthenticated:
        raise BadInput("This is not your present password.", field="current") from None
    credentials.check_new_password(new, user, field="new")
    registration.change_password(user, make_password(new), kept_session=session_id)


def refresh(raw: str) -> SignedIn:
    """Spend a refresh token for the session's next pair; raises Unauthenticated.

    A spent token that comes again is in two hands, one of them a thief's: the whole session is revoked, at once and without
    a time of grace, for nobody can tell a client that repeats its request from a thief that comes second. A client whose
    answer was lost signs in again.
    """
    return _signed_in(*_spend(raw))


def log_out(*, refresh_token: str | None, identity: Identity | None) -> None:
    """End the session of the refresh token; without one, all sessions of the caller.

    Raises Unauthenticated if the token does not hold, or if there is neither.
    """
    if refresh_token is not None:
        _, session_id = _spend(refresh_token)
        tokens.revoke_session(session_id)
    elif identity is not None and identity.grant is None:
        registration.end_sessions(identity.user_id, by=identity)
    else:
        raise Unauthenticated


def authenticate(raw: str) -> Access:
    """What an access token opens, by one indexed query; raises Unauthenticated."""
    claims = tokens.read_access(raw)
    sql, parameters = _question(connection.vendor)
    asked = dict(zip(_values(_SAMPLE), _values(claims), strict=True))
    rows = Statement(sql, [asked.get(each, each) for each in parameters]).run().rows
    if not rows:
        raise Unauthenticated(_ENDED)
    ((username, role, team_id),) = rows
    identity = Identity(claims.user_id, username, Role(role), UUID(team_id))
    return Access(identity, claims.session_id, claims.token_version, claims.expires_at)


def still_valid(accesses: Collection[Access], now: datetime) -> dict[Access, Identity]:
    """Those that hold at `now`, each with the identity that it opens by now: role and team may have changed.

    What is missing in the answer has expired, or its session, its tokens or its account were ended. It takes two queries by
    primary key (SQLite: two for each thousand), so that long-lived connections can be looked at all at once.
    """
    unexpired = [access for access in accesses if now < access.expires_at]
    users = User.objects.filter(is_active=True).in_bulk({access.identity.user_id for access in unexpired})
    revoked = RevokedSession.objects.in_bulk({access.session_id for access in unexpired})
    return {
        access: user.identity
        for access in unexpired
        if (user := users.get(access.identity.user_id)) is not None
        and (user.token_version == access.token_version or user.kept_session == access.session_id)
        and access.session_id not in revoked
    }


def identity_from_token(raw: str) -> Identity:
    """Who sends this access token; raises Unauthenticated."""
    return authenticate(raw).identity


def _verified(user: User | None, password: str, *, account: str, address: str) -> User:
    """The user, if active and the password is right; else raises Unauthenticated, as slowly for no user as for one.

    Guesses are counted by `account`, the name or address that was typed: counted by the row, they would tell which two are of
    one account, and that there is one.
    """
    credentials.check_password_text(password, field="password")
    attempt = throttle.reserve_login(account=account, address=address)
    if user is None:
        make_password(password)
    elif _fits(user, password) and user.is_active:
        throttle.give_back(attempt)
        return user
    raise Unauthenticated(_WRONG)


def _fits(user: User, password: str) -> bool:
    """Whether it is the user's password; replaces the hash of an older hasher by one of the present hasher."""
    try:
        return check_password(password, user.password, lambda text: registration.rehash_password(user, text))
    except ValueError:
        make_password(password)  # bcrypt refuses more than 72 bytes, and must not be the quicker for it
        return False


def _spend(raw: str) -> tuple[User, UUID]:
    """The user and the session of a refresh token that still held and is used up now."""
    token, claims = tokens.read_refresh(raw)
    user = _live(claims).select_related("team").first()
    if user is None:
        raise Unauthenticated(_ENDED)
    if not tokens.spend(token):
        _end_stolen(user, claims.session_id)
        raise Unauthenticated(_ENDED)
    return user, claims.session_id


@repeats_lock_conflicts
def _end_stolen(user: User, session_id: UUID) -> None:
    """End the session, and say so where operators look."""
    if tokens.revoke_session(session_id):
        facts = {"username": user.username, "session": session_id}
        audit.record(None, "session.token_reused", f"user:{user.id}", facts)


def _live(claims: Claims) -> QuerySet[User]:
    """The token's user, if the token still holds."""
    revoked = RevokedSession.objects.filter(session_id=claims.session_id)
    version_holds = Q(token_version=claims.token_version) | Q(kept_session=claims.session_id)
    return User.objects.filter(version_holds, id=claims.user_id, is_active=True).exclude(Exists(revoked))


_SAMPLE = Claims(UUID(int=1), 1_234_567_890, UUID(int=2), datetime.min.replace(tzinfo=UTC))


@functools.cache
def _question(vendor: str) -> tuple[str, Sequence[Any]]:
    """What `authenticate` asks that database, with the values of _SAMPLE where those of a token's claims belong.

    The ORM words it once; to do so for every request would take longer than the answer does.
    """
    rows = _live(_SAMPLE).order_by().values_list("username", "role", "team_id")
    sql, parameters = rows.query.get_compiler(connection=connection).as_sql()
    return sql, parameters


def _values(claims: Claims) -> list[Any]:
    """What `_live` goes by, as the driver takes it."""
    ids = [User._meta.pk.get_db_prep_value(id_, connection) for id_ in (claims.user_id, claims.session_id)]
    return [claims.token_version, *ids]


def _signed_in(user: User, session_id: UUID) -> SignedIn:
    pair = tokens.issue(user, session_id)
    return SignedIn(pair.access_token, pair.refresh_token, pair.expires_in, user)
