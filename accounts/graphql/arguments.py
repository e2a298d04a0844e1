"""Reading what clients send: pages, ids, and how a refusal names the field that is to blame."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import graphene

from accounts.credentials import is_encodable
from dtq_site.foundation.errors import BadInput, Conflict, NotFound
from dtq_site.foundation.ids import parse_uuid

DEFAULT_LIMIT, MOST = 50, 1000
LONGEST_TEXT = 1000
FARTHEST_OFFSET = 2**31 - 1
PAGE = {
    "limit": graphene.Int(default_value=DEFAULT_LIMIT, description=f"How many at most, up to {MOST:,}."),
    "offset": graphene.Int(default_value=0, description="How many to pass over first."),
}
"""The arguments of a field that answers with a page."""


def read_page(limit: int | None, offset: int | None) -> tuple[int, int]:
    """Limit and offset, within bounds; raises BadInput."""
    return read_limit(limit), _within("offset", offset, 0, FARTHEST_OFFSET)


def read_limit(limit: int | None, argument: str = "limit") -> int:
    """How many to show at most; raises BadInput on the argument."""
    return _within(argument, limit, DEFAULT_LIMIT, MOST)


def _within(argument: str, value: int | None, default: int, most: int) -> int:
    if value is None:
        return default
    if not 0 <= value <= most:
        raise BadInput(f"{argument} must be from 0 to {most:,}, not {value:,}.", field=argument)
    return value


def read_text(text: str, argument: str) -> str:
    """A text to look for, or a name; raises BadInput on the argument if no row can have it, or if it is too long."""
    if len(text) > LONGEST_TEXT:
        raise BadInput(f"{len(text):,} characters; at most {LONGEST_TEXT:,} are allowed.", field=argument)
    if not is_encodable(text):
        raise BadInput("It has half a surrogate pair, which is no character; remove it.", field=argument)
    return text


def read_id(text: str) -> UUID:
    """The id that a client sent. Raises NotFound for what can be no id."""
    found = parse_uuid(text)
    if found is None:
        raise NotFound
    return found


@contextmanager
def fields_of(argument: str) -> Iterator[None]:
    """Name the field of a refusal as the client wrote it: ``input.email``."""
    try:
        yield
    except BadInput as error:
        raise error.within(argument) from None
    except (Conflict, NotFound) as error:
        if error.field:
            error.field = f"{argument}.{error.field}"
        raise
