"""Watches every statement that the tests run: rows of ours that are written outside of their owner end the test.

The innermost function of ours on the stack is the writer; of a `Statement`, the one that worded it. A test may write what it
likes: it prepares and inspects.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db import connections
from django.db.backends.signals import connection_created

from dtq_site.foundation.statements import Statement
from tests.support.sources import PACKAGES, ROOT
from tests.support.writers import OWNERS, WRITTEN_BY_THE_FRAMEWORK, owns, project_models

_WRITE = re.compile(r"\s*(?:INSERT(?: IGNORE)? INTO|UPDATE|DELETE FROM|REPLACE INTO) [`\"]?(\w+)", re.IGNORECASE)
_CARRIERS = {
    "dtq_site/foundation/database.py",
    "dtq_site/foundation/statements.py",
}  # runs the functions of others in a transaction


class ForeignWriteError(AssertionError):
    """A module wrote rows that another one owns."""


def install() -> None:
    """Watch all connections, present and coming."""
    labels = {model.table: model.label for model in project_models()}

    worded: set[str] = set()

    def judge(sql: str) -> None:
        match = _WRITE.match(sql)
        label = labels.get(match[1]) if match else None
        if label is not None:
            _refuse_strangers(label)

    def check(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        if isinstance(sql, str) and sql.partition("; ")[0] not in worded:  # several may go in one text
            judge(sql)
        return execute(sql, params, many, context)

    def check_wording(self: Statement, *args: Any, **kwargs: Any) -> None:
        plain_init(self, *args, **kwargs)
        judge(self.sql)
        worded.add(self.sql)

    plain_init = Statement.__init__
    Statement.__init__ = check_wording  # type: ignore[method-assign]

    def watch(connection: Any, **_: Any) -> None:
        if check not in connection.execute_wrappers:
            connection.execute_wrappers.append(check)

    connection_created.connect(watch, weak=False)
    for connection in connections.all(initialized_only=True):
        watch(connection)


def _refuse_strangers(label: str) -> None:
    writer = _writer()
    if writer is None:
        allowed = label in WRITTEN_BY_THE_FRAMEWORK
    else:
        allowed = (
            writer.parts[0] not in PACKAGES or "migrations" in writer.parts or owns(OWNERS.get(label), str(writer))
        )
    if not allowed:
        raise ForeignWriteError(f"{writer or 'the framework'} wrote {label}, which {OWNERS.get(label)} owns")


def _writer() -> Path | None:
    """The file of the innermost function of this project on the stack, relative to the project's folder."""
    frame = sys._getframe(1)
    while frame := frame.f_back:  # type: ignore[assignment]
        name = frame.f_code.co_filename
        if name.startswith(str(ROOT)) and "site-packages" not in name and name != __file__:
            path = Path(name).relative_to(ROOT)
            if str(path) not in _CARRIERS:
                return path
    return None
