"""Who may call a field of the API: declared on its resolver, checked before it runs.

Every resolver of Query and Mutation bears one of these decorators. They leave the declaration on the function, as
`__dtq_access__`, so that a test can prove that no field is without one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from accounts.roles import Role
from dtq_site.foundation.errors import Forbidden, Unauthenticated

Resolver = TypeVar("Resolver", bound=Callable[..., Any])

PUBLIC = "public"


def public(resolver: Resolver) -> Resolver:
    """Let everybody call `resolver`, signed in or not."""
    resolver.__dtq_access__ = PUBLIC  # type: ignore[attr-defined]
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

        checked.__dtq_access__ = allowed  # type: ignore[attr-defined]
        return checked  # type: ignore[return-value]

    return decorate
