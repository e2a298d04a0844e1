"""Dead letters by what they died of, and how the attempts of a task ended."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from accounts.identity import Identity
from dtq_site.foundation.database import database_clock
from tasks import failures, lifecycle
from tasks.domain.outcome import OutcomeKind
from tasks.models import Task
from tests.integration.graphql.making import data, finish, make_task, start

pytestmark = pytest.mark.django_db

GROUPS = "query ($limit: Int) { deadLetterGroups(limit: $limit) { name gist count latestId commonText } }"
ENDINGS = "query ($id: ID!) { task(id: $id) { endings { attempt ending error endedAt workerId } } }"


def die(error: str, team: str = "red", **request: Any) -> Task:
    return finish(make_task(team, max_retries=0, **request), OutcomeKind.FAILED, error=error)


def groups(identity: Identity, limit: int | None = None) -> list[dict[str, Any]]:
    return data(GROUPS, identity, limit=limit)["deadLetterGroups"]


@pytest.mark.parametrize(
    ("error", "gist"),
    [
        ("", ""),
        ("ValueError: bad", "ValueError: bad"),
        ("HTTP 503 after 12.5 s", "HTTP … after ….… s"),
        ("no user 01890000-aaaa-7bbb-8ccc-0123456789ab", "no user …"),
        ("at 0x7fABC: hash deadbeefcafe00", "at …: hash …"),
        ("\n  first line \nsecond", "first line"),
        ("Traceback (most recent call last):\n  File x\nKeyError: 'a'\n", "KeyError: 'a'"),
        ("x" * 300, "x" * 200),
    ],
)
def test_the_gist_of_an_error_leaves_out_what_varies(error: str, gist: str):
    assert failures.gist(error) == gist


def test_errors_that_differ_in_numbers_and_ids_are_one_group_of_their_handler(viewer: Identity):
    for number in range(3):
        last = die(f"TimeoutError: no answer in {number} s from host {number * 17}")
    die("TimeoutError: no answer in 4 s from host 5", name="daily-report")
    other = die("KeyError: 'email'")

    found = groups(viewer)

    gist = "TimeoutError: no answer in … s from host …"
    assert found[0] == {
        "name": "send-email",
        "gist": gist,
        "count": 3,
        "latestId": str(last.pk),
        "commonText": "TimeoutError: no answer in",
    }
    assert {(each["name"], each["gist"], each["count"]) for each in found[1:]} == {
        ("daily-report", gist, 1),
        ("send-email", "KeyError: 'email'", 1),
    }
    assert {each["latestId"] for each in found[1:]} >= {str(other.pk)}


def test_the_common_text_finds_the_group(user: Identity):
    wanted = {str(die(f"no answer in {number} s").pk) for number in (1, 2)}
    die("no luck")
    (group, _) = groups(user)

    query = "query ($filter: TaskFilter) { tasksConnection(filter: $filter) { nodes { id } } }"
    found = data(query, user, filter={"status": ["DEAD_LETTER"], "error": group["commonText"]})

    assert {node["id"] for node in found["tasksConnection"]["nodes"]} == wanted


def test_a_team_sees_its_own_and_an_admin_all(viewer: Identity, stranger: Identity, admin: Identity):
    die("broken", "red")
    die("broken", "red")
    die("broken", "blue")

    assert [[group["count"] for group in groups(each)] for each in (viewer, stranger, admin)] == [[2], [1], [3]]


def test_only_so_many_groups_are_shown_the_largest_first(viewer: Identity):
    for error in ("a", "b", "b", "c"):
        die(error)

    assert [group["gist"] for group in groups(viewer, limit=1)] == ["b"]
    assert groups(viewer, limit=0) == []


def test_of_very_many_dead_letters_the_latest_are_looked_at(viewer: Identity, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(failures, "LOOKED_AT", 2)
    for error in ("old", "new", "new"):
        die(error)

    assert [(group["gist"], group["count"]) for group in groups(viewer)] == [("new", 2)]


def test_a_task_tells_how_its_attempts_ended_that_did_not_complete(viewer: Identity):
    task = make_task(max_retries=2)
    task = finish(task, OutcomeKind.FAILED, error="first", retry_delay_seconds=0.0)
    query = data(ENDINGS, viewer, id=str(task.pk))

    (ending,) = query["task"]["endings"]
    assert (ending["attempt"], ending["ending"], ending["error"]) == (1, "failed", "first")
    assert UUID(ending["workerId"])


def test_of_a_task_that_was_cancelled_an_attempt_is_told_only_if_it_ran(viewer: Identity):
    running, waiting = start(make_task()), make_task()

    for task in (running, waiting):
        lifecycle.cancel(task.pk, database_clock.now())

    (ending,) = data(ENDINGS, viewer, id=str(running.pk))["task"]["endings"]
    assert (ending["attempt"], ending["ending"], ending["error"]) == (1, "cancelled", None)
    assert ending["workerId"] == str(running.lease_owner)
    assert data(ENDINGS, viewer, id=str(waiting.pk)) == {"task": {"endings": []}}


def test_a_task_that_completed_has_no_such_ending(viewer: Identity):
    task = finish(make_task())

    assert data(ENDINGS, viewer, id=str(task.pk)) == {"task": {"endings": []}}


def test_of_very_many_endings_the_newest_are_shown(viewer: Identity, monkeypatch: pytest.MonkeyPatch):
    from tasks.models import TaskAttempt

    monkeypatch.setattr(failures, "MOST_ENDINGS", 2)
    task, other = make_task(), make_task()
    for attempt in (1, 2, 3):
        facts = {"attempt": attempt, "fencing_token": attempt, "ending": "failed", "ended_at": task.created_at}
        TaskAttempt.objects.create(task=task, **facts)
        TaskAttempt.objects.create(task=other, **facts)

    found = data("{ tasks { endings { attempt } } }", viewer)["tasks"]

    assert found == [{"endings": [{"attempt": 2}, {"attempt": 3}]}] * 2
