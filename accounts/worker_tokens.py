"""Worker tokens: keys that open the operations for workers and nothing else. The only writer of their rows.

A token is 256 random bits, shown once, when it is issued; kept is their SHA-256 digest, by which a token is found, so no
comparison takes longer the more of a guess is right. It has the rights of one account of role WORKER, in the team in which
that account is, and may be confined to some queues. A revoked token is refused from the next request on, and those who
have asked to be told (`when_revoked`) take back what its workers held.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet

from accounts import audit
from accounts.credentials import plain_text
from accounts.identity import Identity, WorkerGrant
from accounts.models import User, WorkerToken
from accounts.roles import Role
from dtq_site.foundation.clock import Clock
from dtq_site.foundation.database import database_clock, repeats_lock_conflicts
from dtq_site.foundation.errors import BadInput, Conflict, NotFound, Unauthenticated

PREFIX = "dtqw_"
"""How every token begins, for people, for programs that look for leaked secrets, and to tell it from a signed token."""

LONGEST_OVERLAP = timedelta(days=30)
MOST_QUEUES = 100
_NOTED = timedelta(minutes=1)
_REMEDY = "ask an administrator for another one; what the worker has done meanwhile is not lost."


@dataclass(frozen=True)
class Issued:
    """A new token, and its text, which nobody can be shown again."""

    token: WorkerToken
    secret: str


def issue(
    account: User,
    *,
    name: str,
    queues: Collection[str] = (),
    expires_at: datetime | None = None,
    by: Identity | None = None,
    clock: Clock = database_clock,
) -> Issued:
    """Make a token for an account of role WORKER. Raises BadInput naming the field."""
    now = clock.now()
    if account.role != Role.WORKER:
        raise BadInput(f"The account {account.username!r} has the role {account.role}, not worker.", field="account")
    if len(queues) > MOST_QUEUES:
        raise BadInput(f"{len(queues)} queues; at most {MOST_QUEUES} can be named.", field="queues")
    expires_at = expires_at or now + settings.DTQ_ACCOUNTS.worker_token_expiration
    if expires_at <= now:
        raise BadInput("It would have expired already.", field="expiresAt")
    return _issued(
        WorkerToken(
            name=plain_text(name, "name", longest=200) or account.username,
            account=account,
            queues=sorted({plain_text(queue, "queues", longest=64) for queue in queues}),
            issued_at=now,
            expires_at=expires_at,
        ),
        by,
        {},
    )


def rotate(token_id: UUID, overlap: timedelta, by: Identity | None = None, clock: Clock = database_clock) -> Issued:
    """Make a token like that one, good for as long from now on; the old one is good for `overlap` yet.

    Raises NotFound, BadInput, or Conflict if it was revoked.
    """
    now = clock.now()
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise BadInput(f"It must be from 0 to {LONGEST_OVERLAP.days} days.", field="overlapSeconds")
    old = _token(token_id)
    if old.revoked_at is not None:
        raise Conflict("This token was revoked; issue a new one.")
    until, lifetime = now + overlap, old.expires_at - old.issued_at
    fresh = WorkerToken(name=old.name, account=old.account, queues=old.queues, issued_at=now, expires_at=now + lifetime)
    return _replaced(old, until, fresh, by)


@repeats_lock_conflicts
def _replaced(old: WorkerToken, until: datetime, fresh: WorkerToken, by: Identity | None) -> Issued:
    WorkerToken.objects.filter(pk=old.pk, expires_at__gt=until).update(expires_at=until)
    return _issued(fresh, by, {"replaces": old.pk})


@repeats_lock_conflicts
def _issued(token: WorkerToken, by: Identity | None, facts: dict[str, UUID]) -> Issued:
    secret = PREFIX + secrets.token_urlsafe(32)
    token.digest = _digest(secret)
    token.save(force_insert=True)
    facts = {"name": token.name, "account": token.account.username, "queues": token.queues, **facts}
    audit.record(by, "worker_token.issued", f"worker_token:{token.pk}", facts)
    return Issued(token, secret)


def revoke(token_id: UUID, by: Identity | None = None, clock: Clock = database_clock) -> WorkerToken:
    """Refuse the token from now on, and take back what its workers hold. Again does the latter again. Raises NotFound."""
    token = _token(token_id)
    if token.revoked_at is None:
        _revoke(token, by, clock.now())
    for follow in _followers:
        follow(token.pk)
    return _token(token_id)


@repeats_lock_conflicts
def _revoke(token: WorkerToken, by: Identity | None, now: datetime) -> None:
    WorkerToken.objects.filter(pk=token.pk).update(revoked_at=now)
    audit.record(by, "worker_token.revoked", f"worker_token:{token.pk}", {"name": token.name})


_followers: list[Callable[[UUID], None]] = []


def when_revoked(follow: Callable[[UUID], None]) -> None:
    """Call `follow` with the id of every token that is revoked, once nobody can use it any more. Asked again it changes
    nothing: apps may start twice.
    """
    if follow not in _followers:
        _followers.append(follow)


def issued(limit: int, offset: int) -> QuerySet[WorkerToken]:
    """A page of all tokens, the newest first, each with its account."""
    return WorkerToken.objects.select_related("account__team")[offset : offset + limit]


def queues_of(token_ids: Collection[UUID]) -> dict[UUID, frozenset[str]]:
    """For which queues these tokens are, or were; none is all of them. Of one that is gone nothing is said."""
    if not token_ids:
        return {}
    rows = WorkerToken.objects.filter(pk__in=token_ids).values_list("pk", "queues")
    return {token_id: frozenset(queues) for token_id, queues in rows}


def is_worker_token(text: str) -> bool:
    """Whether it is of this kind; whether it holds, `identify` says."""
    return text.startswith(PREFIX)


def identify(secret: str, clock: Clock = database_clock) -> Identity:
    """Whose worker bears the token; notes once a minute that it is used. Raises Unauthenticated, which says what to do."""
    token = WorkerToken.objects.select_related("account").filter(digest=_digest(secret)).first()
    if token is None:
        raise Unauthenticated(f"Nobody has issued this worker token; {_REMEDY}")
    now, account = clock.now(), token.account
    if token.revoked_at is not None:
        raise Unauthenticated(f"This worker token was revoked; {_REMEDY}")
    if token.expires_at <= now:
        raise Unauthenticated(f"This worker token has expired; {_REMEDY}")
    if not account.is_active or account.role != Role.WORKER:
        raise Unauthenticated(f"The account of this worker token is no worker's any more; {_REMEDY}")
    if token.last_used_at is None or now - token.last_used_at >= _NOTED:
        long_ago = Q(last_used_at=None) | Q(last_used_at__lte=now - _NOTED)
        WorkerToken.objects.filter(long_ago, pk=token.pk).update(last_used_at=now)
    return replace(account.identity, grant=WorkerGrant(token.pk, frozenset(token.queues)))


def _token(token_id: UUID) -> WorkerToken:
    token = WorkerToken.objects.select_related("account__team").filter(pk=token_id).first()
    if token is None:
        raise NotFound("There is no such worker token.")
    return token


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="backslashreplace")).hexdigest()
