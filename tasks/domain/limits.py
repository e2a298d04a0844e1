"""Limits as values: what is limited, by how much, and by which name it is known to the rows and to Redis.

A queue or a handler may have a rate and a cap, which is how many of its tasks run at a time. Where the handler declares for
what its limits count apart (`per`), each such key has a limit of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dtq_site.foundation.errors import BadInput
from tasks.domain.rates import Rate
from tasks.domain.templates import MAX_NAME, NameKind

KEY_NAMES = NameKind("key", field="per", example="{account}")
MAX_LIMIT_NAME = 120 + MAX_NAME
"""Kind, scope and name of the handler take 120 characters at most."""

LARGEST_CAP = 100_000
NO_RATE, NO_CAP = "none", 0
"""How a limit is lifted that a handler declares."""


class Kind(StrEnum):
    """What is limited: how many tasks run at a time, or how often one starts."""

    CAP = "cap"
    RATE = "rate"


class Scope(StrEnum):
    """To which tasks a limit applies: those of a queue, or those of a handler."""

    QUEUE = "queue"
    HANDLER = "handler"


@dataclass(frozen=True, order=True)
class Limit:
    """One limit, without its amount. `key` is what it is for, where the limits of a handler count apart."""

    kind: Kind
    scope: Scope
    name: str
    key: str = ""

    def __str__(self) -> str:
        """Its name in rows and in Redis; only the key may have a slash."""
        return "/".join([self.kind, self.scope, self.name, *([self.key] if self.key else [])])

    @classmethod
    def named(cls, text: str) -> Limit:
        """The limit of that name."""
        kind, scope, name, *key = text.split("/", 3)
        return cls(Kind(kind), Scope(scope), name, *key)


@dataclass(frozen=True)
class Rule:
    """The limits of a queue or a handler; None is none. `per_key`: they count apart for each key."""

    rate: Rate | None = None
    cap: int | None = None
    per_key: bool = False

    @property
    def kinds(self) -> list[Kind]:
        """The limits that there are, a cap before a rate."""
        return [*([Kind.CAP] if self.cap is not None else []), *([Kind.RATE] if self.rate is not None else [])]


def check_cap(value: int, field: str = "concurrencyLimit") -> int:
    """How many tasks may run at a time, if it may be so many. Raises BadInput."""
    if not 1 <= value <= LARGEST_CAP:
        raise BadInput(f"{field} must be from 1 to {LARGEST_CAP:,}, not {value:,}.", field=field)
    return value
