"""The connections of this back end."""

from __future__ import annotations

from typing import Any

from django_prometheus.db.backends.sqlite3 import base

from dtq_site.backends.cursors import KeepsCursorClass


class DatabaseWrapper(KeepsCursorClass, base.DatabaseWrapper):
    """A connection."""

    def create_cursor(self, name: str | None = None) -> Any:
        """A cursor; none has a `name` here."""
        return self.connection.cursor(factory=self.cursor_class)
