"""The API as production runs it: what it says to whoever comes by http, by https through its proxy, and from within."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from whitenoise.compress import Compressor

from tests.conftest import Servers
from tests.support.live_server import LiveServer, start_live_server
from tests.support.processes import Processes
from tests.support.sources import ROOT

pytestmark = pytest.mark.usefixtures("committed_db", "redis_server")

BY_HTTP = {"Host": "dtq.example.com"}
BY_HTTPS = BY_HTTP | {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}


@pytest.fixture
def environment(servers: Servers, tmp_path: Path) -> dict[str, str]:
    """A proper production, but that its servers are those of the run."""
    secret = tmp_path / "jwt-secret"
    secret.write_text("3d8b0c5f9a7e6142-2416e7a9f5c0b8d3\n")
    return {
        "DTQ_ENV": "production",
        "DTQ_ALLOWED_HOSTS": "dtq.example.com",
        "DTQ_TRUSTED_PROXIES": "1",
        "DTQ_HTTPS_REDIRECT": "true",
        "DTQ_METRICS_TOKEN": "for-prometheus-alone",
        "DTQ_STATIC_FOLDER": str(tmp_path / "static"),
        "EMAIL_URL": "smtp+tls://user:password@mail.example.com:587",
        "JWT_SECRET_FILE": str(secret),
        "REDIS_URL": servers.redis_url,
    }


def test_only_what_came_by_https_is_served_to_people(environment: dict[str, str], processes: Processes) -> None:
    collect_a_style(Path(environment["DTQ_STATIC_FOLDER"]))
    server = start_live_server(processes, **environment)

    by_http = ask(server, "/sign-in?next=/tasks", BY_HTTP)
    by_https = ask(server, "/sign-in", BY_HTTPS)
    style = ask(server, "/static/dtq/site.css", BY_HTTPS | {"Accept-Encoding": "br"})

    assert (by_http.status_code, by_http.headers["location"]) == (301, "https://dtq.example.com/sign-in?next=/tasks")
    assert "set-cookie" not in by_http.headers
    assert by_https.status_code == 200
    assert by_https.headers["strict-transport-security"] == "max-age=2592000"
    assert by_https.headers["set-cookie"].startswith("csrftoken=") and "; Secure" in by_https.headers["set-cookie"]
    assert (style.status_code, style.headers["content-encoding"]) == (200, "br")


def test_programs_are_answered_from_within_and_strangers_are_not(
    environment: dict[str, str], processes: Processes
) -> None:
    server = start_live_server(processes, **environment)

    answers = {path: ask(server, path, BY_HTTP).status_code for path in ("/health/live", "/health/ready", "/metrics")}
    metrics = ask(server, "/metrics", BY_HTTP | {"Authorization": "Bearer for-prometheus-alone"})
    operation = httpx.post(f"{server.http_url}/graphql", headers=BY_HTTP, json={"query": "{ health { status } }"})
    login = httpx.post(f"{server.http_url}/auth/login", headers=BY_HTTP, json={"username": "nobody", "password": "x"})
    stranger = ask(server, "/sign-in", {"Host": "elsewhere.example.com", "X-Forwarded-Proto": "https"})

    assert answers == {"/health/live": 200, "/health/ready": 200, "/metrics": 401}
    assert metrics.status_code == 200
    assert operation.status_code == 200 and "location" not in operation.headers
    assert login.status_code == 401
    assert stranger.status_code == 400


def test_what_may_be_unsafe_is_named_with_its_remedy_and_nothing_else_is(
    environment: dict[str, str], processes: Processes
) -> None:
    check = ["check", "--deploy", "--fail-level", "WARNING"]
    missing = processes.manage(*check, **environment)
    assert missing.wait() == 1
    collect_a_style(Path(environment["DTQ_STATIC_FOLDER"]))

    collected = processes.manage(*check, **environment)
    exit_code = collected.wait()

    assert "(dtq.W011)" in missing.output and "manage.py collectstatic" in missing.output
    warned = [line for line in collected.output.splitlines() if "(dtq.W" in line or "(security.W" in line]
    assert all("(dtq.W004)" in line for line in warned)  # where the tests stand on SQLite
    assert exit_code == (1 if warned else 0)


def test_what_is_unsafe_keeps_it_from_starting(environment: dict[str, str], processes: Processes) -> None:
    unsafe = environment | {"DTQ_ALLOWED_HOSTS": "*", "DATABASE_URL": "", "JWT_SECRET_FILE": "/nowhere/secret"}

    first = processes.manage("serve", **unsafe)
    assert first.wait() == 1
    second = processes.manage("serve", **unsafe | {"JWT_SECRET_FILE": "", "JWT_SECRET": "a" * 40})

    assert second.wait() == 1
    assert [line.split("=")[0] for line in first.output.splitlines()] == ["dtq: JWT_SECRET_FILE"]
    assert [line.split()[1].split("=")[0] for line in second.output.splitlines()] == [
        "JWT_SECRET",
        "DATABASE_URL",
        "DTQ_ALLOWED_HOSTS",
    ]


def collect_a_style(folder: Path) -> None:
    """As collectstatic does with all files, which takes it some ten seconds."""
    style = folder / "dtq/site.css"
    style.parent.mkdir(parents=True)
    style.write_bytes((ROOT / "dtq_site/static/dtq/site.css").read_bytes())
    assert len(list(Compressor(quiet=True).compress(str(style)))) == 2


def ask(server: LiveServer, path: str, headers: dict[str, str]) -> httpx.Response:
    return httpx.get(f"{server.http_url}{path}", headers=headers, follow_redirects=False, timeout=10)
