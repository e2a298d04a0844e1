"""What the back ends have in common."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django_prometheus.db.common import ExportingCursorWrapper


class KeepsCursorClass:
    """A connection that knows the class of its cursors, which count and time what they execute."""

    CURSOR_CLASS: Any
    alias: str
    vendor: str

    @cached_property
    def cursor_class(self) -> Any:
        """The class, made when first asked for."""
        return ExportingCursorWrapper(self.CURSOR_CLASS, self.alias, self.vendor)
