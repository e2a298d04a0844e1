"""JSON as the standard has it: no NaN, no Infinity, no keys but text, and a size limit."""

from __future__ import annotations

import json
import math
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
        _refuse_what_json_lacks(value)
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        size = len(text.encode())
    except NotJSON:
        raise
    except RecursionError:
        raise NotJSON("it is nested too deeply, or contains itself") from None
    except UnicodeEncodeError:
        raise NotJSON("it contains half of a surrogate pair, which is no character") from None
    except ValueError:  # the interpreter's bound on the digits of a number
        raise NotJSON("it contains a number of too many digits") from None
    if max_bytes is not None and size > max_bytes:
        raise TooLarge(size, max_bytes)
    return text


def _refuse_what_json_lacks(value: Any) -> None:
    """json.dumps turns keys such as 1 and None into text without a word, and its messages are not made for people."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise NotJSON(f"the key {key!r} is no text")
            _refuse_what_json_lacks(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_what_json_lacks(item)
    elif isinstance(value, float) and not math.isfinite(value):
        raise NotJSON(f"it contains {value}, which JSON does not have")
    elif not isinstance(value, str | int | float | None):
        kind = type(value).__name__
        raise NotJSON(
            f"it contains an object of type {kind}; use text, numbers, booleans, null, lists and dictionaries"
        )


def canonical(value: Any) -> str:
    """JSON text with sorted keys: equal for equal values."""
    return json.dumps(value, allow_nan=False, sort_keys=True, separators=(",", ":"))
