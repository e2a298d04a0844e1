"""JSON as the standard has it: no NaN, no Infinity, no keys but text, and limits of size and depth."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

MAX_DEPTH = 30
"""How many objects and lists may stand one in the other. MariaDB stores 31 at most."""

TOO_LARGE_A_NUMBER = "it contains a number that is infinite or too large"


class NotJSON(ValueError):
    """The value cannot be written as JSON, or the text is none."""


class TooLarge(ValueError):
    """The value takes more bytes as JSON than allowed."""

    def __init__(self, size: int, limit: int) -> None:
        self.size, self.limit = size, limit
        super().__init__(f"it takes {size:,} bytes as JSON; at most {limit:,} are allowed")


# Made once, because it takes as long as encoding a small value.
_compact = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode


def encode(value: Any, *, max_bytes: int | None = None) -> str:
    """Write `value` as compact JSON text.

    Raises NotJSON, naming what stands in the way, or TooLarge if the UTF-8 text is longer than `max_bytes`.
    """
    try:
        _refuse_what_json_lacks(value)
        text = _compact(value)
        size = len(text.encode())
    except NotJSON:
        raise
    except UnicodeEncodeError:
        raise NotJSON("it contains half of a surrogate pair, which is no character") from None
    except ValueError:  # the interpreter's bound on the digits of a number
        raise NotJSON(TOO_LARGE_A_NUMBER) from None
    if max_bytes is not None and size > max_bytes:
        raise TooLarge(size, max_bytes)
    return text


def _refuse_what_json_lacks(value: Any, levels: int = MAX_DEPTH) -> None:
    """json.dumps turns keys such as 1 and None into text without a word, and its messages are not made for people."""
    if isinstance(value, dict | list | tuple) and not levels:
        raise NotJSON(f"it is nested too deeply, or contains itself; at most {MAX_DEPTH} levels are allowed")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise NotJSON(f"the key {key!r} is no text")
            _refuse_what_json_lacks(item, levels - 1)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_what_json_lacks(item, levels - 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise NotJSON("it contains NaN, which JSON does not have" if math.isnan(value) else TOO_LARGE_A_NUMBER)
    elif not isinstance(value, str | int | float | None):
        kind = type(value).__name__
        raise NotJSON(
            f"it contains an object of type {kind}; use text, numbers, booleans, null, lists and dictionaries"
        )


def decode(text: str | bytes) -> Any:
    """Read JSON text, which is in UTF-8 if it comes as bytes. Raises NotJSON, naming what stands in the way.

    A number that is too large becomes infinite, which `encode` refuses: who knows its place can say where it stood.
    """
    try:
        return json.loads(
            text if isinstance(text, str) else text.decode(), parse_int=read_integer, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError:
        raise NotJSON("it is not in UTF-8") from None
    except RecursionError:
        raise NotJSON("it is nested too deeply") from None
    except ValueError as error:
        raise NotJSON(str(error)) from None


def read_integer(digits: str) -> int | float:
    """The integer that JSON or GraphQL spells; infinite if it has more digits than the interpreter reads."""
    try:
        return int(digits)
    except ValueError:
        return float(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise NotJSON(f"{name} is no JSON number")


def compact(value: Any) -> str:
    """JSON text of a value that `encode` has accepted before, without looking at it again."""
    return _compact(value)


def canonical(value: Any) -> str:
    """JSON text with sorted keys: equal for equal values."""
    return json.dumps(value, allow_nan=False, sort_keys=True, separators=(",", ":"))
