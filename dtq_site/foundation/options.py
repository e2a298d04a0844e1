"""Settings declared once: name, variable, default, bounds and help stand on one dataclass field.

An app writes a frozen dataclass whose fields are made by `option(…)`; `load` fills it from the environment. The same
declaration yields the start-up check, docs/CONFIGURATION.md and `.env.example`. What is secret may stand in a file that a
variable names, as orchestrators hand out secrets: `JWT_SECRET_FILE` in place of `JWT_SECRET`.
"""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

Options = TypeVar("Options")


class OptionsError(Exception):
    """One or more settings have values that are not allowed; `problems` has a line for each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


@dataclasses.dataclass(frozen=True)
class Declaration:
    """What is known of one setting.

    `variables` are its names in the environment, the preferred one first; `file_variables` name a file with its value.
    """

    variables: tuple[str, ...]
    default: Any
    help: str
    minimum: Any = None
    maximum: Any = None
    choices: tuple[str, ...] = ()
    secret: bool = False
    check: Callable[[Any], None] | None = None
    kind: Any = str
    field: str = ""
    file_variables: tuple[str, ...] = ()


def option(
    default: Any,
    *,
    env: str | tuple[str, ...],
    help: str,
    minimum: Any = None,
    maximum: Any = None,
    choices: tuple[str, ...] = (),
    secret: bool = False,
    check: Callable[[Any], None] | None = None,
) -> Any:
    """Declare one setting as a dataclass field. `minimum` and `maximum` are inclusive; `check` raises ValueError."""
    variables = (env,) if isinstance(env, str) else env
    declaration = Declaration(variables, default, help, minimum, maximum, choices, secret, check)
    return dataclasses.field(default=default, metadata={"option": declaration})


def declarations(cls: type) -> Iterator[Declaration]:
    """The settings that `cls` declares, in the order of its fields.

    Every secret may be in a file, unless the variable that would name the file is a setting of its own.
    """
    kinds = typing.get_type_hints(cls)
    found = {field.name: field.metadata["option"] for field in dataclasses.fields(cls) if "option" in field.metadata}
    taken = {name for declaration in found.values() for name in declaration.variables}
    for field, declaration in found.items():
        files = [f"{name}_FILE" for name in declaration.variables] if declaration.secret else []
        free = tuple(name for name in files if name not in taken)
        yield dataclasses.replace(declaration, kind=kinds[field], field=field, file_variables=free)


def load(cls: type[Options], environ: Mapping[str, str]) -> Options:
    """Build `cls` from the environment and the files that it names; a variable that is unset or empty leaves its default.

    Raises OptionsError, with one line for every bad value: its name, the value (unless secret) and the remedy.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for declaration in declarations(cls):
        names = declaration.variables + declaration.file_variables
        name = next((name for name in names if environ.get(name, "").strip()), None)
        if name is None:
            continue
        in_file = name in declaration.file_variables
        said = environ[name].strip()
        try:
            text = _content(said) if in_file else said
            _refuse_both(name, declaration, environ)
            values[declaration.field] = _checked(declaration, _PARSERS[declaration.kind](text))
        except ValueError as error:
            shown = "(hidden)" if declaration.secret and not in_file else repr(said)
            meaning = f"names a file with {declaration.help}" if in_file else f"is {declaration.help}"
            problems.append(f"{name}={shown} is not allowed: {error}. It {meaning}")
    if problems:
        raise OptionsError(problems)
    return cls(**values)


def _content(path: str) -> str:
    """The secret in that file, without the line's end that editors leave."""
    try:
        text = Path(path).read_text().strip()
    except OSError as error:
        raise ValueError(f"the file cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError("the file holds no text") from None
    if not text:
        raise ValueError("the file is empty")
    return text


def _refuse_both(name: str, declaration: Declaration, environ: Mapping[str, str]) -> None:
    """Nobody could tell which of the two is meant, or has been forgotten."""
    files = [file for file in declaration.file_variables if file != name and environ.get(file, "").strip()]
    if files:
        raise ValueError(f"{files[0]} is set too; leave one of them unset")


def _checked(declaration: Declaration, value: Any) -> Any:
    if declaration.choices and value not in declaration.choices:
        raise ValueError(f"choose one of {', '.join(declaration.choices)}")
    size = len(value) if isinstance(value, str) else value
    unit = " characters" if isinstance(value, str) else ""
    if declaration.minimum is not None and size < declaration.minimum:
        raise ValueError(f"it must be at least {show(declaration.minimum)}{unit}")
    if declaration.maximum is not None and size > declaration.maximum:
        raise ValueError(f"it must be at most {show(declaration.maximum)}{unit}")
    if declaration.check is not None:
        declaration.check(value)
    return value


def parse_duration(text: str) -> timedelta:
    """Read ``90``, ``15m``, ``24h`` or ``1d``; a bare number is seconds. Raises ValueError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?", text)
    if not match:
        raise ValueError("write a number and a unit: 500ms, 30s, 15m, 24h or 1d")
    seconds = float(match[1]) * {"ms": 0.001, None: 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]
    try:
        return timedelta(seconds=seconds)
    except OverflowError:
        raise ValueError("it is longer than any calendar") from None


def parse_boolean(text: str) -> bool:
    """Read true or false in their usual spellings. Raises ValueError."""
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"0", "false", "no", "off"}:
        return False
    raise ValueError("write true or false")


def _parse_integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("write a whole number") from None


def _parse_number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError("write a number") from None
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError("write a finite number")
    return value


def _parse_list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


_PARSERS: dict[Any, Callable[[str], Any]] = {
    str: str,
    int: _parse_integer,
    float: _parse_number,
    bool: parse_boolean,
    timedelta: parse_duration,
    tuple[str, ...]: _parse_list,
}


def show(value: Any) -> str:
    """Write a setting's value the way the environment would spell it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
        for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
            if seconds >= length and seconds % length == 0:
                return f"{int(seconds // length)}{unit}"
        return f"{int(seconds * 1000)}ms"
    if isinstance(value, tuple):
        return ",".join(value)
    return "" if value is None else str(value)
