"""The pages for people: served whole by this server, under a strict policy, those for operators behind a sign-in."""

from __future__ import annotations

import re

import pytest
from django.contrib.staticfiles import finders
from django.http import HttpResponse
from django.test import Client

from accounts.models import User
from accounts.roles import Role
from dtq_site.foundation.ids import lowest_at
from tests.integration.accounts.making import make_user

pytestmark = pytest.mark.django_db

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
TASK = f"/tasks/{lowest_at(1_900_000_000_000)}"
FOR_OPERATORS = ["/", "/tasks", "/tasks?status=FAILED", TASK]
PUBLIC = ["/graphql", "/graphql/"]


@pytest.fixture
def browser() -> Client:
    """The browser of somebody who has signed in."""
    make_user("ann", role=Role.VIEWER)
    return signed_in(User.objects.get())


def signed_in(user: User) -> Client:
    client = Client(headers=HTML)
    client.force_login(user)
    return client


@pytest.mark.parametrize("path", [*FOR_OPERATORS, *PUBLIC])
@pytest.mark.parametrize("is_known", [True, False])
def test_a_page_loads_nothing_from_elsewhere(browser: Client, path: str, is_known: bool):
    response = (browser if is_known else Client(headers=HTML)).get(path)
    text = response.content.decode()

    assert response.status_code == 200
    assert response["Content-Type"] == "text/html; charset=utf-8"
    assert re.findall(r"https?://|src=\"//|href=\"//", text) == []
    loaded = re.findall(r'(?:src|href)="/static/([^"]+)"', text)
    assert loaded
    assert [name for name in loaded if finders.find(name) is None] == []


@pytest.mark.parametrize("path", [*FOR_OPERATORS, *PUBLIC])
@pytest.mark.parametrize("is_known", [True, False])
def test_a_page_runs_no_script_of_its_own_text(browser: Client, path: str, is_known: bool):
    response = (browser if is_known else Client(headers=HTML)).get(path)

    assert "script-src 'self';" in response["Content-Security-Policy"]
    assert "unsafe" not in response["Content-Security-Policy"]
    scripts = re.findall(r"<script([^>]*)>", response.content.decode())
    assert [script for script in scripts if "src=" not in script and "application/graphql" not in script] == []
    assert re.findall(r" (?:style|on[a-z]+)=", response.content.decode()) == []


@pytest.mark.parametrize("path", FOR_OPERATORS)
def test_who_has_not_signed_in_gets_the_form_and_is_led_back(path: str):
    response = Client(headers=HTML).get(path)
    text = response.content.decode()

    assert 'name="password"' in text
    assert f'name="next" value="{path}"' in text
    assert 'data-part="shell"' not in text
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize("path", FOR_OPERATORS)
def test_who_has_signed_in_gets_the_page_and_no_cache_keeps_it(browser: Client, path: str):
    response = browser.get(path)
    text = response.content.decode()

    assert 'data-role="viewer" data-username="ann"' in text
    assert 'name="password"' not in text
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize(("role", "is_shown"), [(Role.VIEWER, False), (Role.USER, False), (Role.ADMIN, True)])
def test_the_admin_is_offered_to_admins_alone(role: Role, is_shown: bool):
    text = signed_in(make_user(f"the-{role}", role=role)).get("/").content.decode()

    assert ('href="/admin/"' in text) == is_shown


def test_every_field_and_every_button_of_the_pages_has_a_name(browser: Client):
    for path in FOR_OPERATORS:
        text = browser.get(path).content.decode()
        assert re.findall(r"<html lang=\"en\">", text)
        assert len(re.findall(r"<h1", text)) == 1
        for tag in re.findall(r"<(?:input|select|textarea)[^>]*>", text):
            inside_label = re.search(rf"<label>[^<]*{re.escape(tag)}|<label [^>]*>[^<]*{re.escape(tag)}", text)
            assert "hidden" in tag or inside_label, tag
        for button in re.findall(r"<button([^>]*)>(.*?)</button>", text, re.DOTALL):
            assert "aria-label" in button[0] or "confirm-yes" in button[0] or re.search(r"\w", button[1]), button


def test_what_is_no_id_of_a_task_is_not_found(browser: Client):
    assert browser.get("/tasks/nonsense").status_code == 404


def test_the_endpoint_tells_browsers_from_programs():
    client = Client()

    assert client.get("/graphql", headers=HTML)["Content-Type"].startswith("text/html")
    assert client.get("/graphql", {"query": "{ __typename }"}, headers=HTML)["Content-Type"].startswith(
        "application/json"
    )
    assert client.get("/graphql").status_code == 400


def test_what_is_not_there_is_404_with_a_way_back():
    response: HttpResponse = Client(headers=HTML).get("/nowhere")

    assert response.status_code == 404
    assert 'href="/"' in response.content.decode()


@pytest.mark.parametrize("path", ["/", "/tasks", TASK])
def test_the_pages_are_for_reading(browser: Client, path: str):
    assert browser.post(path).status_code == 405
