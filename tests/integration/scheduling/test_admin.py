"""Schedules in the Django admin: what people fill in goes through the verbs of schedules."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from accounts.models import AuditEntry
from accounts.roles import Role
from scheduling.models import Schedule
from tasks.models import Task
from tests.integration.scheduling.making import again, coming, make
from tests.support.factories import make_team, make_user

LIST = "/admin/scheduling/schedule/"


@pytest.fixture
def browser() -> Client:
    """The browser of an administrator who has signed in."""
    client = Client()
    client.force_login(make_user("root", role=Role.ADMIN))
    return client


def filled_in(schedule: Schedule | None = None, **changes: Any) -> dict[str, Any]:
    """The form as a browser sends it."""
    if schedule is None:
        form = {
            "team": str(make_team().pk),
            "name": "report",
            "cron_expression": "0 2 * * *",
            "timezone": "Europe/Berlin",
        }
    else:
        form = {
            "name": schedule.name,
            "title": schedule.title,
            "payload": "{}",
            "queue": schedule.queue,
            "priority": schedule.priority,
            "max_retries": schedule.max_retries,
            "timeout_seconds": schedule.timeout_seconds,
            "cron_expression": schedule.cron_expression or "",
            "timezone": schedule.timezone,
            "jitter_seconds": schedule.jitter_seconds,
        }
    return {**form, "misfire_policy": "FIRE_ONCE", "overlap_policy": "ALLOW", **changes}


def errors_of(response: HttpResponse) -> dict[str, list[str]]:
    assert response.status_code == 200
    return response.context["adminform"].form.errors


def everything() -> tuple[Any, ...]:
    return list(Schedule.objects.values()), list(Task.objects.values())


@pytest.mark.parametrize("role", [Role.USER, Role.VIEWER, Role.WORKER])
def test_only_admins_come_in(role):
    client = Client()
    client.force_login(make_user("ann", role=role))

    assert client.get(LIST).status_code == 302


def test_the_list_tells_when_schedules_are_due(browser):
    make("0 2 * * *", timezone="Europe/Berlin", title="Report")

    page = browser.get(LIST).content.decode()

    assert "Report" in page and "at 02:00 every day, Europe/Berlin" in page
    assert f'<a href="/admin/tasks/task/?schedule={Schedule.objects.get().pk}">Show</a>' in page


def test_a_schedule_is_shown_with_its_next_runs_those_marked_that_a_change_of_the_clock_touches(browser):
    schedule = make("30 2 29 3 *", timezone="Europe/Berlin")

    page = browser.get(f"{LIST}{schedule.pk}/change/").content.decode()

    assert page.count(" UTC)") == 20
    assert "2043-03-29 03:00:00+02:00 (2043-03-29 01:00:00 UTC), a change of the clock" in page
    assert "2044-03-29 02:30:00+02:00 (2044-03-29 00:30:00 UTC)<br>" in page


def test_a_new_schedule_has_its_coming_task_and_defaults_where_nothing_was_filled_in(browser):
    assert browser.get(f"{LIST}add/").status_code == 200

    response = browser.post(f"{LIST}add/", filled_in(payload='{"a": 1}', priority="9"))

    assert response.status_code == 302, errors_of(response)
    schedule = Schedule.objects.get()
    task = coming(schedule)
    assert (schedule.title, schedule.queue, schedule.interval_seconds) == ("report", "default", None)
    assert (schedule.user.username, schedule.team) == ("root", make_team())
    assert (task.status, task.name, task.payload, task.priority) == ("PENDING", "report", {"a": 1}, 9)


def test_teams_are_looked_up_by_name_for_there_may_be_many(browser):
    sailors = make_team("Sailors")

    page = browser.get(f"{LIST}add/").content.decode()
    found = browser.get(
        "/admin/autocomplete/?app_label=scheduling&model_name=schedule&field_name=team&term=sail"
    ).json()

    assert "Sailors" not in page
    assert found["results"] == [{"id": str(sailors.pk), "text": "Sailors"}]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"cron_expression": ""}, "cron_expression"),
        ({"cron_expression": "0 0 30 2 *"}, "cron_expression"),
        ({"interval_seconds": "5"}, "interval_seconds"),
        ({"timezone": "Moon"}, "timezone"),
        ({"priority": "101"}, "priority"),
        ({"queue": "no blanks"}, "queue"),
        ({"payload": "[1]"}, "payload"),
        ({"ends_at_0": "2020-01-01", "ends_at_1": "00:00:00"}, "ends_at"),
        ({"misfire_policy": "never"}, "misfire_policy"),
    ],
)
def test_what_the_api_refuses_is_refused_at_its_field(browser, changes, field):
    response = browser.post(f"{LIST}add/", filled_in(**changes))

    assert list(errors_of(response)) == [field]
    assert everything() == ([], [])


def test_a_change_reaches_the_coming_task_and_leaves_the_rest(browser):
    schedule = make("0 2 * * *", payload={})
    slot = schedule.next_due

    response = browser.post(f"{LIST}{schedule.pk}/change/", filled_in(schedule, priority="9"))

    assert response.status_code == 302, errors_of(response)
    assert (again(schedule).priority, again(schedule).revision, again(schedule).next_due) == (9, 2, slot)
    assert (coming(schedule).priority, coming(schedule).scheduled_at) == (9, slot)


def test_an_interval_in_place_of_an_expression(browser):
    schedule = make("0 2 * * *")

    browser.post(f"{LIST}{schedule.pk}/change/", filled_in(schedule, cron_expression="", interval_seconds="60"))

    assert (again(schedule).cron_expression, again(schedule).interval_seconds) == (None, 60)


def test_a_change_that_is_refused_changes_nothing(browser):
    schedule = make("0 2 * * *")
    before = everything()

    response = browser.post(f"{LIST}{schedule.pk}/change/", filled_in(schedule, cron_expression="61 * * * *"))

    assert list(errors_of(response)) == ["cron_expression"]
    assert everything() == before


@pytest.mark.parametrize("way", ["page", "action"])
def test_a_deleted_schedule_takes_its_coming_task_along(browser, way):
    schedule = make()

    if way == "page":
        browser.post(f"{LIST}{schedule.pk}/delete/", {"post": "yes"})
    else:
        browser.post(LIST, {"action": "delete_selected", "_selected_action": [str(schedule.pk)], "post": "yes"})

    assert everything() == ([], [])
    entry = AuditEntry.objects.get(action="schedule.deleted")
    assert (entry.actor, entry.target) == ("root", f"schedule:{schedule.pk}")


def test_schedules_are_paused_resumed_and_run_by_actions(browser):
    schedule = make()

    def act(action: str) -> None:
        assert browser.post(LIST, {"action": action, "_selected_action": [str(schedule.pk)]}).status_code == 302

    act("pause")
    assert again(schedule).paused and not Task.objects.exists()
    act("resume")
    assert not again(schedule).paused and coming(schedule).status == "PENDING"
    act("run_now")
    made = Task.objects.get(status="QUEUED")
    assert (made.schedule_id, made.user.username) == (schedule.pk, "root")
    audited = AuditEntry.objects.filter(target=f"schedule:{schedule.pk}").order_by("id").values_list("actor", "action")
    assert list(audited) == [("root", "schedule.paused"), ("root", "schedule.resumed"), ("root", "schedule.run")]
