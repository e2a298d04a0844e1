"""JSON as the standard has it: no NaN, no Infinity, no keys but text, and a size limit."""

from __future__ import annotations

import json
from typing import Any


class NotJSON(ValueError):
    """The value cannot be written as JSON."""


class TooLarge(ValueError):
    """The value takes more bytes as JSON than allowed."""

    def __init__(self, size: int, limit: int) -> None:
        self.size, self.limit = size, limit
        super().__init__(f"it takes {size:,} bytes as JSON; at most {limit:,} are allowed")


def encode(value: Any, *, max_bytes: int | None = None) -> str:
    """Write `value` as compact JSON text.

    Raises NotJSON, naming what stands in the way, or TooLarge if the UTF-8 text is longer than `max_bytes`.
    """
    try:
        _refuse_other_keys(value)
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        size = len(text.encode())
    except RecursionError:
        raise NotJSON("it is nested too deeply, or contains itself") from None
    except UnicodeEncodeError:
        raise NotJSON("it contains half of a surrogate pair, which is no character") from None
    except (TypeError, ValueError) as error:
        raise NotJSON(str(error)) from None
    if max_bytes is not None and size > max_bytes:
        raise TooLarge(size, max_bytes)
    return text


def _refuse_other_keys(value: Any) -> None:
    """json.dumps turns 1, None and True into text keys without a word; a reader would get other data than was written."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise NotJSON(f"the key {key!r} is no text")
            _refuse_other_keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_other_keys(item)


def canonical(value: Any) -> str:
    """JSON text with sorted keys: equal for equal values."""
    return json.dumps(value, allow_nan=False, sort_keys=True, separators=(",", ":"))
