"""Which other sites' pages may use the API: none, but those that the settings name."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from dtq_site.foundation.options import OptionsError, load
from dtq_site.options import SiteOptions

APP, ELSEWHERE = "https://app.example.com", "https://evil.example.com"


def post(origin: str, path: str = "/graphql") -> HttpResponse:
    return Client().post(path, {"query": "{ __typename }"}, content_type="application/json", headers={"Origin": origin})


def preflight(origin: str, path: str = "/graphql") -> HttpResponse:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    return Client().options(path, headers={"Origin": origin, **asked})


def granted(response: HttpResponse) -> dict[str, Any]:
    return {name: value for name, value in response.items() if name.startswith("Access-Control-")}


def test_no_other_site_is_let_in_by_default():
    assert granted(post(APP)) == {}
    assert granted(preflight(APP)) == {}


@pytest.mark.parametrize("path", ["/graphql", "/graphql/", "/auth/login"])
def test_a_site_of_the_settings_is_let_in_with_its_token_and_without_cookies(settings: Settings, path: str):
    settings.CORS_ALLOWED_ORIGINS = [APP]

    response = preflight(APP, path)

    assert response.status_code == 200
    assert response["Access-Control-Allow-Origin"] == APP
    assert {"authorization", "content-type"} <= set(response["Access-Control-Allow-Headers"].split(", "))
    assert response["Access-Control-Allow-Methods"] == "GET, HEAD, POST, OPTIONS"
    assert "Access-Control-Allow-Credentials" not in response
    assert post(APP)["Access-Control-Allow-Origin"] == APP
    assert post(APP)["Access-Control-Expose-Headers"] == "Retry-After, X-Request-ID"
    assert "origin" in post(APP)["Vary"].lower()


@pytest.mark.parametrize("origin", [ELSEWHERE, "null", f"{APP}.evil.com", "http://app.example.com", f"{APP}:444"])
def test_a_site_that_the_settings_do_not_name_is_not(settings: Settings, origin: str):
    settings.CORS_ALLOWED_ORIGINS = [APP]

    assert granted(post(origin)) == granted(preflight(origin)) == {}


def test_pages_and_probes_are_for_no_other_site(settings: Settings):
    settings.CORS_ALLOWED_ORIGINS = [APP]

    assert granted(Client().get("/health/live", headers={"Origin": APP})) == {}
    assert granted(Client().get("/admin/login/", headers={"Origin": APP})) == {}


@pytest.mark.parametrize(
    "origin",
    ["*", "app.example.com", f"{APP}/", f"{APP}/path", "ftp://app.example.com", "https://", "https://App.example.com",
     "https://user@app.example.com"],
)  # fmt: skip
def test_what_no_browser_sends_as_an_origin_stops_the_start(origin: str):
    with pytest.raises(OptionsError) as refused:
        load(SiteOptions, {"DTQ_ALLOWED_ORIGINS": f"{APP},{origin}"})

    assert refused.value.problems[0].startswith(
        f"DTQ_ALLOWED_ORIGINS={f'{APP},{origin}'!r} is not allowed: {origin!r} is no origin; "
        "write it like https://app.example.com, in lower case, with no path."
    )


def test_origins_are_read_as_a_list():
    origins = load(SiteOptions, {"DTQ_ALLOWED_ORIGINS": f"{APP}, http://localhost:5173,http://[::1]:80"})

    assert origins.allowed_origins == (APP, "http://localhost:5173", "http://[::1]:80")
