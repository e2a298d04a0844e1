"""The coming runs of a schedule, and of one that is not yet made."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.identity import Identity
from tests.integration.graphql.making import data, refusal
from tests.integration.graphql.schedules import PAUSE, make_schedule

pytestmark = pytest.mark.django_db

PREVIEW = """query ($expression: String!, $timezone: String, $after: DateTime, $count: Int) {
    previewSchedule(cronExpression: $expression, timezone: $timezone, after: $after, count: $count) {
        description runs { at local adjusted } } }"""


def test_a_preview_tells_the_expression_and_its_runs_and_marks_those_that_a_change_of_the_clock_touches(
    viewer: Identity,
):
    asked = {"expression": "30 2 * * *", "timezone": "Europe/Berlin", "after": "2026-03-28T12:00:00Z", "count": 2}

    assert data(PREVIEW, viewer, **asked)["previewSchedule"] == {
        "description": "at 02:30 every day, Europe/Berlin",
        "runs": [
            {"at": "2026-03-29T01:00:00.000000Z", "local": "2026-03-29T03:00:00+02:00", "adjusted": True},
            {"at": "2026-03-30T00:30:00.000000Z", "local": "2026-03-30T02:30:00+02:00", "adjusted": False},
        ],
    }


@pytest.mark.parametrize("nothing", [{}, {"timezone": None, "after": None, "count": None}])
def test_a_preview_shows_twenty_runs_from_now_in_utc(viewer: Identity, nothing: dict[str, None]):
    preview = data(PREVIEW, viewer, expression="@daily", **nothing)["previewSchedule"]

    assert preview["description"] == "at 00:00 every day, UTC"
    assert len(preview["runs"]) == len({run["at"] for run in preview["runs"]}) == 20
    assert {run["at"][10:] for run in preview["runs"]} == {"T00:00:00.000000Z"}
    assert {(run["local"][10:], run["adjusted"]) for run in preview["runs"]} == {("T00:00:00+00:00", False)}


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"expression": "0 0 30 2 *"}, "cronExpression"),
        ({"expression": "nonsense"}, "cronExpression"),
        ({"expression": "@daily", "timezone": "Moon"}, "timezone"),
        ({"expression": "@daily", "count": 0}, "count"),
        ({"expression": "@daily", "count": 101}, "count"),
        ({"expression": "@daily", "after": "9999-12-31T23:00:00Z"}, "after"),
    ],
)
def test_a_preview_of_what_cannot_be_is_refused_with_its_field(viewer: Identity, asked: dict[str, Any], field: str):
    assert refusal(PREVIEW, viewer, **asked) == ("BAD_USER_INPUT", field)


def test_a_schedule_shows_its_next_runs_whether_it_is_paused_or_not(user: Identity):
    schedule = make_schedule(user)
    query = "query ($id: ID!) { schedule(id: $id) { nextRunAt nextRuns(count: 3) { at local } } }"

    shown = data(query, user, id=str(schedule.pk))["schedule"]
    data(PAUSE, user, id=str(schedule.pk))
    paused = data(query, user, id=str(schedule.pk))["schedule"]

    assert shown["nextRuns"] == paused["nextRuns"] and len(shown["nextRuns"]) == 3
    assert shown["nextRunAt"] == shown["nextRuns"][0]["at"] and paused["nextRunAt"] is None
    assert shown["nextRuns"][0]["local"][10:19] == "T00:00:00"
