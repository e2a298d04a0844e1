"""Who may call a field of the API: declared on its resolver, checked before it runs.

Every resolver of Query and Mutation bears one of these decorators. They leave the declaration on the function, where
`access_of` finds it: a test proves that no field is without one, and the page about the schema tells of each.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from accounts.roles import Role
from dtq_site.foundation.errors import Forbidden, Unauthenticated

Resolver = TypeVar("Resolver", bound=Callable[..., Any])

PUBLIC = "public"
"""Stands for all roles and for who has not signed in."""

_MARK = "__dtq_access__"


@dataclass(frozen=True)
class Access:
    """Who may call a field: any of `roles`, which are PUBLIC for everybody. `module` is where that is declared."""

    roles: frozenset[Role] | str
    worker_token: bool
    module: str


def access_of(resolver: Any) -> Access:
    """What a field's resolver, or a wrapper of it, declares. Raises LookupError if it declares nothing."""
    while resolver is not None:
        if hasattr(resolver, _MARK):
            return getattr(resolver, _MARK)
        resolver = getattr(resolver, "func", None) or getattr(resolver, "__wrapped__", None)
    raise LookupError("it bears neither `requires(…)` nor `public`")


def public(resolver: Resolver) -> Resolver:
    """Let everybody call `resolver`, signed in or not."""
    setattr(resolver, _MARK, Access(PUBLIC, False, resolver.__module__))
    return resolver


def requires(*roles: Role, worker_token: bool = False) -> Callable[[Resolver], Resolver]:
    """Let those roles, and admins, call a resolver; with no role named, admins only.

    The resolver raises Unauthenticated for nobody and Forbidden for any other role, before anything of it has run.
    A worker token opens only what says `worker_token`.
    """
    allowed = frozenset(roles) | {Role.ADMIN}

    def decorate(resolver: Resolver) -> Resolver:
        @functools.wraps(resolver)
        def checked(root: Any, info: Any, *args: Any, **kwargs: Any) -> Any:
            identity = info.context.identity
            if identity is None:
                raise Unauthenticated
            if identity.role not in allowed:
                raise Forbidden(f"This takes the role {' or '.join(sorted(allowed))}; yours is {identity.role}.")
            if identity.grant is not None and not worker_token:
                raise Forbidden("A worker token is for the operations for workers only; sign in for all others.")
            return resolver(root, info, *args, **kwargs)

        setattr(checked, _MARK, Access(allowed, worker_token, resolver.__module__))
        return checked  # type: ignore[return-value]

    return decorate
