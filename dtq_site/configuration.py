"""Every setting of the project as text: docs/CONFIGURATION.md and `.env.example` are written from the declarations.

A test compares both files with what this module says; `manage.py configuration` writes them.
"""

from __future__ import annotations

from collections.abc import Iterator

from accounts.options import AccountsOptions
from dtq_site.api.options import ApiOptions
from dtq_site.foundation.options import Declaration, declarations, show
from dtq_site.options import SiteOptions
from scheduling.options import SchedulingOptions
from tasks.options import TasksOptions
from workers.options import RemoteOptions, WorkersOptions

SECTIONS: tuple[tuple[str, type], ...] = (
    ("The installation", SiteOptions),
    ("The GraphQL endpoint", ApiOptions),
    ("Accounts", AccountsOptions),
    ("Tasks", TasksOptions),
    ("Workers", WorkersOptions),
    ("A remote worker", RemoteOptions),
    ("Scheduling", SchedulingOptions),
)

_MARKDOWN_HEAD = """\
# Settings

Every setting is a variable of the environment; in development a file `.env` in the project's folder is read too
(`.env.example` is one to copy). A variable that is unset or empty leaves its default. A value that is not allowed stops the
start with one line: the name, the value and the remedy. Durations are written `500ms`, `30s`, `15m`, `24h` or `1d`; lists are
separated by commas. What is secret may be in a file in place of the variable: `…_FILE` names it, and it is read at the start,
without the space and line ends around it. A file that is missing or empty stops the start, and so do both at once.

This page is written by `manage.py configuration --markdown`.
"""
_ENV_HEAD = """\
# Copy this file to .env; it is read in development. Every line shows a default: uncomment what you change.
# Written by `manage.py configuration --env`; docs/CONFIGURATION.md says more.
"""


def variables() -> list[str]:
    """The name of every variable that is read, older spellings and those that name files included."""
    return [
        name
        for _, cls in SECTIONS
        for declaration in declarations(cls)
        for name in declaration.variables + declaration.file_variables
    ]


def markdown() -> str:
    """The text of docs/CONFIGURATION.md."""
    return "\n".join([_MARKDOWN_HEAD, *(line for title, cls in SECTIONS for line in _markdown_section(title, cls))])


def env_example() -> str:
    """The text of `.env.example`."""
    return "\n".join([_ENV_HEAD, *(line for title, cls in SECTIONS for line in _env_section(title, cls))])


def _markdown_section(title: str, cls: type) -> Iterator[str]:
    yield f"## {title}\n"
    yield f"{(cls.__doc__ or '').strip()}\n"
    yield "| variable | default | allowed | meaning |"
    yield "| --- | --- | --- | --- |"
    for declaration in declarations(cls):
        names = " or ".join(f"`{name}`" for name in declaration.variables + declaration.file_variables)
        default = f"`{text}`" if (text := show(declaration.default)) else "empty"
        yield f"| {names} | {default} | {_allowed(declaration)} | {_sentence(declaration)} |"
    yield ""


def _env_section(title: str, cls: type) -> Iterator[str]:
    yield f"# --- {title} ".ljust(100, "-") + "\n"
    for declaration in declarations(cls):
        yield f"# {_sentence(declaration)}"
        yield f"# {declaration.variables[0]}={show(declaration.default)}"
        yield from (f"# {name}=" for name in declaration.file_variables)
        yield ""


def _sentence(declaration: Declaration) -> str:
    first = declaration.help.partition(" ")[0]
    return declaration.help if "://" in first else declaration.help[:1].upper() + declaration.help[1:]


def _allowed(declaration: Declaration) -> str:
    if declaration.choices:
        return ", ".join(f"`{choice}`" for choice in declaration.choices)
    unit = " characters" if isinstance(declaration.default, str) else ""
    if declaration.minimum is not None and declaration.maximum is not None:
        return f"{show(declaration.minimum)} to {show(declaration.maximum)}{unit}"
    if declaration.minimum is not None:
        return f"at least {show(declaration.minimum)}{unit}"
    return _KINDS[declaration.kind]


_KINDS = {str: "text", bool: "`true`, `false`", tuple[str, ...]: "a list"}
