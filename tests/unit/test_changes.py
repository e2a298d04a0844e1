"""Whom a changed file concerns."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from dtq_site.development.changes import ALL, API, SCHEDULER, WORKER, concerned

NOBODY: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("tasks/lifecycle/holding.py", ALL),
        ("tasks/queue/lua/take.lua", ALL),
        ("accounts/models.py", ALL),
        ("workers/gateway.py", ALL),
        ("scheduling/schedules.py", ALL),
        ("tasks/migrations/0002_more.py", ALL),
        ("dtq_site/foundation/clock.py", ALL),
        ("dtq_site/settings.py", ALL),
        ("dtq_site/api/options.py", ALL),
        ("docs/examples/thumbnails.py", ALL),
        ("my_handlers.py", ALL),
        ("dtq_site/api/view.py", {API}),
        ("dtq_site/urls.py", {API}),
        ("dtq_site/management/commands/runserver.py", {API}),
        ("tasks/graphql/mutations.py", {API}),
        ("accounts/admin.py", {API}),
        ("templates/dashboard/index.html", {API}),
        ("workers/runtime/executor.py", {WORKER}),
        ("workers/offline/schema.sql", {WORKER}),
        ("workers/transports/operations/claim.graphql", {WORKER}),
        ("workers/management/commands/runworker.py", {WORKER}),
        ("scheduling/duties/reaper.py", {SCHEDULER}),
        ("scheduling/runtime/leader.py", {SCHEDULER}),
        ("scheduling/management/commands/runscheduler.py", {SCHEDULER}),
        ("accounts/management/commands/seed_users.py", NOBODY),
        ("dtq_site/management/commands/dev.py", NOBODY),
        ("dtq_site/development/session.py", NOBODY),
        (".env", NOBODY),
        ("tests/unit/test_changes.py", NOBODY),
        ("docs/ARCHITECTURE.md", NOBODY),
        ("var/dtq.sqlite3", NOBODY),
        (".venv/lib/python3.11/site-packages/django/apps.py", NOBODY),
        ("tasks/__pycache__/lifecycle.cpython-311.pyc", NOBODY),
        ("tasks/.lifecycle.py.swp", NOBODY),
    ],
)
def test_a_change_starts_again_whom_it_concerns(path: str, names: set[str]) -> None:
    assert concerned(PurePath(path)) == names
