"""Names that handlers declare as templates, in which ``{key}`` stands for a value of the payload: of locks, and of what limits
count apart. They are compared byte by byte."""

from __future__ import annotations

import functools
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dtq_site.foundation.errors import BadInput

MAX_NAME = 255


@dataclass(frozen=True)
class NameKind:
    """Names of one kind: the word for such a name, the field that bears its template, and an example."""

    noun: str
    field: str
    example: str

    def check_name(self, name: str) -> str:
        """The name, if it may be one. Raises BadInput."""
        if not 0 < len(name) <= MAX_NAME:
            raise BadInput(
                f"A {self.noun}'s name must have 1 to {MAX_NAME} characters, not {len(name):,}.", field=self.field
            )
        try:
            name.encode()
        except UnicodeEncodeError:
            raise BadInput(
                f"A {self.noun}'s name contains half of a surrogate pair, which is no character.", field=self.field
            ) from None
        if "\0" in name:
            raise BadInput(f"A {self.noun}'s name contains the character NUL; remove it.", field=self.field)
        return name

    def check_template(self, template: str) -> str:
        """The template, if it may be one. Raises BadInput."""
        _parts(self, self.check_name(template))
        return template

    def keys_of(self, template: str) -> list[str]:
        """The payload's keys that a checked template names."""
        return [key for _, key in _parts(self, template) if key is not None]

    def fill(self, template: str, payload: Mapping[str, Any]) -> str:
        """The name for a payload. Raises BadInput, naming the key of the payload that is to blame."""
        filled = "".join(
            literal + ("" if key is None else self._value(template, key, payload))
            for literal, key in _parts(self, template)
        )
        try:
            return self.check_name(filled)
        except BadInput as error:
            blamed = next((f"payload.{key}" for key in self.keys_of(template)), self.field)
            raise BadInput(f"The {self.noun} {template!r} cannot be made: {error.message}", field=blamed) from None

    def _value(self, template: str, key: str, payload: Mapping[str, Any]) -> str:
        value = payload.get(key)
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            return str(value)
        fault = (
            "the payload has none" if key not in payload else f"it must be text or a whole number, not {value!r:.60}"
        )
        raise BadInput(f"The {self.noun} {template!r} needs {key!r}: {fault}.", field=f"payload.{key}")


@functools.lru_cache(maxsize=1024)
def _parts(kind: NameKind, template: str) -> tuple[tuple[str, str | None], ...]:
    """The literals of a template, each with the key that follows it. Raises BadInput."""
    remedy = f'Name keys of the payload in braces, as in "{kind.example}"; write {{{{ and }}}} for braces.'
    try:
        parts = tuple(string.Formatter().parse(template))
    except ValueError as error:
        raise BadInput(f"{template!r} is no {kind.noun}: {error}. {remedy}", field=kind.field) from None
    for _, key, form, conversion in parts:
        if key is not None and (not key.isidentifier() or form or conversion):
            raise BadInput(f"{template!r} is no {kind.noun}: {{{key}}} names no key. {remedy}", field=kind.field)
    return tuple((literal, key) for literal, key, _, _ in parts)
