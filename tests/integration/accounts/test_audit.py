"""The audit log: what it keeps, and what it shares with the change that it tells of."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks

from accounts import audit
from accounts.identity import Identity
from accounts.models import AuditEntry
from accounts.roles import Role
from dtq_site.foundation.causes import ActingFor, RequestCause
from dtq_site.foundation.database import database_clock

pytestmark = pytest.mark.django_db

ROOT = Identity(uuid4(), "root", Role.ADMIN, uuid4())


def test_an_entry_tells_who_did_what_when_and_to_what():
    before = database_clock.now()

    audit.record(ROOT, "queue.paused", "queue:mail", {"depth": 3, "id": ROOT.team_id, "ü": None})

    entry = AuditEntry.objects.get()
    assert (entry.actor_id, entry.actor, entry.action, entry.target) == (
        ROOT.user_id,
        "root",
        "queue.paused",
        "queue:mail",
    )
    assert entry.facts == {"depth": 3, "id": str(ROOT.team_id), "ü": None}
    assert before - timedelta(seconds=1) < entry.at <= database_clock.now()


def test_a_command_on_the_server_has_no_actor():
    audit.record(None, "queue.paused", "queue:mail")

    entry = AuditEntry.objects.get()
    assert (entry.actor_id, entry.actor, entry.facts, entry.request_id) == (None, "", {}, "")


def test_an_entry_bears_the_id_of_the_request_by_which_it_was_done():
    with ActingFor(RequestCause("7f3a")):
        audit.record(ROOT, "queue.paused", "queue:mail")

    assert AuditEntry.objects.get().request_id == "7f3a"


def test_the_log_has_a_line_once_it_is_committed(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    caplog: pytest.LogCaptureFixture,
):
    with caplog.at_level("INFO", logger="dtq.audit"):
        with django_capture_on_commit_callbacks() as callbacks:
            audit.record(ROOT, "queue.paused", "queue:mail", {"depth": 3})
        assert caplog.records == []
        for callback in callbacks:
            callback()

    (line,) = [record.msg for record in caplog.records]
    assert (line["event"], line["actor"], line["target"]) == ("queue.paused", "root", "queue:mail")
    assert line["facts"] == {"depth": 3}
