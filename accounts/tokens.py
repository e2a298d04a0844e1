"""Signed tokens (JWT) and the sessions that they belong to. The only writer of revoked sessions and spent tokens.

A login starts a session. Its access tokens are good for a while; its refresh token is good for one use and yields the
next pair. All of them bear the session's id (`sid`) and the user's token version (`ver`). A row is written only when
something ends: a session that was revoked, a refresh token that was spent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TypeVar
from uuid import UUID

from django.contrib.sessions.models import Session
from rest_framework_simplejwt import tokens as simplejwt
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from accounts.models import RevokedSession, User
from dtq_site.foundation.clock import from_milliseconds, host_now
from dtq_site.foundation.database import database_clock, repeats_lock_conflicts
from dtq_site.foundation.errors import Unauthenticated
from dtq_site.foundation.ids import parse_uuid

# Tokens expire by the clock of the host that made them, rows by the database's.
_CLOCK_MARGIN = timedelta(hours=1)
_REMEMBERED_TOKENS = 4096
_INVALID = "The token is not valid or has expired; sign in again."

AnyToken = TypeVar("AnyToken", bound=simplejwt.Token)


class RefreshToken(simplejwt.RefreshToken):
    """A refresh token that can be read although it was spent: `spend` finds that out, and no two requests both win."""

    def check_blacklist(self) -> None:
        """Accept spent tokens here; see the class."""


@dataclass(frozen=True)
class TokenPair:
    """What a client gets; `expires_in` is the seconds for which the access token is good."""

    access_token: str
    refresh_token: str
    expires_in: int


@dataclass(frozen=True)
class Claims:
    """What a genuine, unexpired token says. Whether it still holds, the rows say."""

    user_id: UUID
    token_version: int
    session_id: UUID
    expires_at: datetime


def issue(user: User, session_id: UUID) -> TokenPair:
    """Sign the next pair of tokens of a session."""
    refresh = _bearing(RefreshToken(), user, session_id)
    return TokenPair(str(refresh.access_token), str(refresh), int(simplejwt.AccessToken.lifetime.total_seconds()))


def issue_access(user: User, session_id: UUID, lifetime: timedelta) -> str:
    """Sign an access token of a session, for `lifetime` and with no refresh token beside it."""
    access = _bearing(simplejwt.AccessToken(), user, session_id)
    access.set_exp(lifetime=lifetime)
    return str(access)


def read_access(raw: str) -> Claims:
    """The claims of an access token; raises Unauthenticated."""
    claims = _genuine(raw)
    if claims.expires_at <= host_now():
        raise Unauthenticated(_INVALID)
    return claims


@lru_cache(maxsize=_REMEMBERED_TOKENS)
def _genuine(raw: str) -> Claims:
    """The claims of an access token that was good when it was first read: a signature stays as right as it is."""
    return _claims(_decoded(simplejwt.AccessToken, raw))


def read_refresh(raw: str) -> tuple[RefreshToken, Claims]:
    """A refresh token and its claims; raises Unauthenticated. It may have been spent."""
    token = _decoded(RefreshToken, raw)
    return token, _claims(token)


@repeats_lock_conflicts
def spend(token: RefreshToken) -> bool:
    """Use up a refresh token; False if it was used before. Of any number of simultaneous calls one gets True."""
    _, is_first = token.blacklist()
    return is_first


def revoke_session(session_id: UUID) -> bool:
    """End a session: all its tokens, of both kinds, are refused from now on. False if it was ended before."""
    longest = max(simplejwt.AccessToken.lifetime, RefreshToken.lifetime)
    expires_at = database_clock.now() + longest + _CLOCK_MARGIN
    _, is_first = RevokedSession.objects.get_or_create(session_id=session_id, defaults={"expires_at": expires_at})
    return is_first


def forget_expired(now: datetime, limit: int = 500) -> int:
    """Delete what is remembered of tokens, and of sessions of the admin, that have expired anyway, at most so many of each kind.

    Returns the number of all.
    """
    expired = (
        RevokedSession.objects.filter(expires_at__lt=now),
        OutstandingToken.objects.filter(expires_at__lt=now - _CLOCK_MARGIN).order_by("pk"),
        Session.objects.filter(expire_date__lt=now),
    )
    gone = 0
    for rows in expired:
        keys = list(rows.values_list("pk", flat=True)[:limit])
        rows.model.objects.filter(pk__in=keys).delete()
        gone += len(keys)
    return gone


def _bearing(token: AnyToken, user: User, session_id: UUID) -> AnyToken:
    token["sub"] = str(user.id)
    token["username"] = user.username
    token["role"] = user.role
    token["ver"] = user.token_version
    token["sid"] = str(session_id)
    return token


def _decoded(kind: type[AnyToken], raw: str) -> AnyToken:
    try:
        return kind(raw)
    except (TokenError, UnicodeEncodeError):
        raise Unauthenticated(_INVALID) from None


def _claims(token: simplejwt.Token) -> Claims:
    user_id, session_id = parse_uuid(token.get("sub")), parse_uuid(token.get("sid"))
    version = token.get("ver")
    if user_id is None or session_id is None or not isinstance(version, int):
        raise Unauthenticated("The token is not one of this kind; sign in again.")
    return Claims(user_id, version, session_id, from_milliseconds(token["exp"] * 1000))
