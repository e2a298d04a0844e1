"""Finds the handlers: imports `handlers.py` of each app and the modules that DTQ_HANDLERS names."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable

from tasks.handling.errors import HandlersNotLoaded


def discover(apps: Iterable[str], modules: Iterable[str]) -> list[str]:
    """Import `<app>.handlers` of every app that has one, then every module; returns what was imported, in that order.

    Raises HandlersNotLoaded, naming the module and the remedy, for a module that does not exist or fails while it is
    imported; an app without handlers is fine.
    """
    imported = []
    for app in apps:
        if importlib.util.find_spec(f"{app}.handlers") is not None:
            imported.append(_imported(f"{app}.handlers", "Mend that module, or take it away."))
    for module in modules:
        imported.append(_imported(module, "Mend it, or take it out of DTQ_HANDLERS."))
    return imported


def _imported(module: str, remedy: str) -> str:
    try:
        importlib.import_module(module)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and _is_part_of(error.name, module):
            raise HandlersNotLoaded(
                f"DTQ_HANDLERS names {module!r}, and there is no such module. Write its dotted name, such as "
                "docs.examples.thumbnails, and see that its folder is on PYTHONPATH."
            ) from error
        raise HandlersNotLoaded(
            f"The handlers in {module!r} cannot be loaded: {type(error).__name__}: {error}. {remedy}"
        ) from error
    return module


def _is_part_of(missing: str | None, module: str) -> bool:
    return missing is not None and f"{module}.".startswith(f"{missing}.")
