"""The pages for people: served whole by this server, under a strict policy."""

from __future__ import annotations

import re

import pytest
from django.contrib.staticfiles import finders
from django.http import HttpResponse
from django.test import Client

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PAGES = ["/", "/graphql", "/graphql/"]


def open_page(path: str) -> HttpResponse:
    return Client().get(path, headers=HTML)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_loads_nothing_from_elsewhere(path: str):
    response = open_page(path)
    text = response.content.decode()

    assert response.status_code == 200
    assert response["Content-Type"] == "text/html; charset=utf-8"
    assert re.findall(r"https?://|src=\"//|href=\"//", text) == []
    loaded = re.findall(r'(?:src|href)="/static/([^"]+)"', text)
    assert loaded
    assert [name for name in loaded if finders.find(name) is None] == []


@pytest.mark.parametrize("path", PAGES)
def test_a_page_runs_no_script_of_its_own_text(path: str):
    response = open_page(path)

    assert "script-src 'self'" in response["Content-Security-Policy"]
    assert "unsafe" not in response["Content-Security-Policy"]
    scripts = re.findall(r"<script([^>]*)>", response.content.decode())
    assert [script for script in scripts if "src=" not in script and "application/graphql" not in script] == []
    assert " style=" not in response.content.decode()


def test_the_way_in_leads_everywhere():
    text = open_page("/").content.decode()

    assert re.findall(r'class="card" href="([^"]+)"', text) == ["/graphql", "/admin/", "/health", "/metrics"]


def test_the_endpoint_tells_browsers_from_programs():
    client = Client()

    assert client.get("/graphql", headers=HTML)["Content-Type"].startswith("text/html")
    assert client.get("/graphql", {"query": "{ __typename }"}, headers=HTML)["Content-Type"].startswith(
        "application/json"
    )
    assert client.get("/graphql").status_code == 400


def test_what_is_not_there_is_404_with_a_way_back():
    response = open_page("/nowhere")

    assert response.status_code == 404
    assert 'href="/"' in response.content.decode()


def test_the_way_in_is_for_reading():
    assert Client().post("/").status_code == 405
