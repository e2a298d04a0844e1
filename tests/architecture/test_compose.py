"""What docker/ ships to run in containers fits the Compose specification, our commands, our settings, and what the pages say."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands, load_command_class

from accounts.options import AccountsOptions
from dtq_site import configuration
from dtq_site.foundation.options import load, parse_duration
from dtq_site.options import SiteOptions
from dtq_site.production import refusals, warnings
from dtq_site.serving import GRACE_SECONDS
from tasks.options import TasksOptions
from tests.support.sources import ROOT
from workers.options import WorkersOptions

DOCKER = ROOT / "docker"
DEMO, PRODUCTION = "docker-compose.yml", "docker-compose.prod.yml"
FILES = {name: yaml.safe_load((DOCKER / name).read_text()) for name in (DEMO, PRODUCTION)}
SERVICES = [(name, service) for name, file in FILES.items() for service in file["services"]]
OURS = [(name, service) for name, service in SERVICES if "build" in FILES[name]["services"][service]]
LASTING = [(name, service) for name, service in OURS if service in {"api", "worker", "scheduler"}]
BIN = Path(sys.executable).parent


def service_of(name: str, service: str) -> dict[str, Any]:
    return FILES[name]["services"][service]


@pytest.mark.parametrize("name", FILES)
def test_a_file_fits_the_schema_of_the_specification(name: str) -> None:
    command = [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", DOCKER / name]

    checked = subprocess.run(command, capture_output=True, text=True)

    assert checked.returncode == 0, checked.stdout


def test_both_files_run_every_part() -> None:
    parts = {"database", "redis", "migrate", "api", "worker", "scheduler", "prometheus", "grafana"}

    assert set(FILES[DEMO]["services"]) == parts | {"accounts"}
    assert set(FILES[PRODUCTION]["services"]) == parts | {"proxy"}


@pytest.mark.parametrize(("name", "service"), OURS)
def test_a_command_is_one_of_ours_and_takes_its_options(name: str, service: str) -> None:
    command, *arguments = service_of(name, service)["command"]

    application = get_commands()[command]
    parser = load_command_class(application, command).create_parser("manage.py", command)

    assert parser.parse_args(arguments)


@pytest.mark.parametrize(("name", "service"), OURS)
def test_a_variable_is_a_setting(name: str, service: str) -> None:
    assert set(service_of(name, service)["environment"]) <= set(configuration.variables())


@pytest.mark.parametrize(("name", "service"), SERVICES)
def test_what_is_mounted_is_there(name: str, service: str) -> None:
    sources = [volume.partition(":")[0] for volume in service_of(name, service).get("volumes", [])]
    secrets = service_of(name, service).get("secrets", [])

    assert [source for source in sources if source.startswith(".") and not (DOCKER / source).exists()] == []
    assert {source for source in sources if not source.startswith(".")} <= set(FILES[name]["volumes"])
    assert set(secrets) <= set(FILES[name].get("secrets", {}))


@pytest.mark.parametrize(("name", "service"), LASTING)
def test_it_starts_when_the_tables_are_there(name: str, service: str) -> None:
    waits = service_of(name, service)["depends_on"]

    assert waits["migrate"] == {"condition": "service_completed_successfully"}
    assert waits["redis"] == {"condition": "service_healthy"}
    assert service_of(name, "migrate")["depends_on"]["database"] == {"condition": "service_healthy"}


@pytest.mark.parametrize(("name", "service"), LASTING)
def test_it_is_killed_only_after_it_had_its_time(name: str, service: str) -> None:
    needed = {"worker": WorkersOptions().grace_period.total_seconds(), "api": GRACE_SECONDS, "scheduler": GRACE_SECONDS}

    given = parse_duration(service_of(name, service)["stop_grace_period"]).total_seconds()

    assert given >= needed[service] + 10


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("service", ["worker", "scheduler"])
def test_there_may_be_any_number_of_it(name: str, service: str) -> None:
    assert not {"container_name", "hostname", "ports"} & set(service_of(name, service))


def test_the_demo_is_reached_where_the_pages_say_and_from_this_machine_alone() -> None:
    published = {service: each["ports"] for service, each in FILES[DEMO]["services"].items() if "ports" in each}

    assert published == {
        "api": ["127.0.0.1:3000:3000"],
        "prometheus": ["127.0.0.1:9090:9090"],
        "grafana": ["127.0.0.1:3001:3000"],
    }


def test_production_publishes_nothing_but_the_proxy() -> None:
    services = FILES[PRODUCTION]["services"]
    published = {
        service for service, each in services.items() for port in each.get("ports", []) if "127.0.0.1:" not in port
    }

    assert published == {"proxy"}
    assert services["database"]["networks"] == services["redis"]["networks"] == ["data"]
    assert FILES[PRODUCTION]["networks"]["data"] == {"internal": True}


@pytest.mark.parametrize("service", FILES[PRODUCTION]["services"])
def test_production_gives_no_service_more_than_it_needs(service: str) -> None:
    each = service_of(PRODUCTION, service)

    assert each["read_only"] is True
    assert each["cap_drop"] == ["ALL"] and each.get("cap_add", []) == (
        ["NET_BIND_SERVICE"] if service == "proxy" else []
    )
    assert each["security_opt"] == ["no-new-privileges:true"]
    assert each["restart"] == ("on-failure:3" if service == "migrate" else "unless-stopped")
    assert set(each["deploy"]["resources"]["limits"]) >= {"cpus", "memory"}
    assert set(each["logging"]["options"]) == {"max-size", "max-file"}


@pytest.mark.parametrize(("name", "service"), OURS)
def test_the_image_runs_without_a_writable_root(name: str, service: str) -> None:
    each = service_of(name, service)

    assert each["read_only"] is True
    assert each["tmpfs"] == ["/tmp"]
    assert each["init"] is True  # handlers may leave children behind that somebody has to bury


def test_what_production_is_set_to_is_neither_refused_nor_warned_of(tmp_path: Path) -> None:
    written = {
        variable: re.sub(r"\$\{DTQ_HOST[^}]*\}", "dtq.example.com", value)
        for variable, value in service_of(PRODUCTION, "api")["environment"].items()
    }
    for variable, value in written.items():
        if variable.endswith("_FILE"):
            secret = tmp_path / Path(value).name
            secret.write_text("0123456789abcdef" * 2 + "\n")
            written[variable] = str(secret)

    site, accounts, tasks = (load(options, written) for options in (SiteOptions, AccountsOptions, TasksOptions))

    database = {"ENGINE": "mysql", "HOST": site.database_host, "PASSWORD": site.database_password}
    redis_url = f"redis://:{site.redis_password}@{site.redis_host}:{site.redis_port}/0"
    assert site.allowed_hosts == ("dtq.example.com", "api")
    assert refusals(site, accounts, redis_is_embedded=False) == []
    assert warnings(site, accounts, tasks, database=database, redis_urls=[redis_url]) == []


@pytest.mark.parametrize("service", FILES[PRODUCTION]["services"])
def test_production_has_every_secret_in_a_file(service: str) -> None:
    each = service_of(PRODUCTION, service)
    secret = re.compile("PASSWORD|SECRET|TOKEN|EMAIL_URL")

    named = {value for variable, value in each.get("environment", {}).items() if secret.search(variable)}

    assert named <= {f"/run/secrets/{each}" for each in each.get("secrets", [])}


def test_secrets_are_not_committed() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    folders = {f"/docker/{Path(secret['file']).parent}/" for secret in FILES[PRODUCTION]["secrets"].values()}

    assert folders == {"/docker/secrets/"}
    assert folders | {"/docker/.env"} <= set(ignored)


def test_prometheus_in_production_differs_by_the_token_alone() -> None:
    shipped, production = (
        yaml.safe_load((DOCKER / "prometheus" / name).read_text()) for name in ("prometheus.yml", "production.yml")
    )

    [dtq] = [job for job in production["scrape_configs"] if job["job_name"] == "dtq"]
    token = dtq.pop("authorization")["credentials_file"]

    assert production == shipped
    assert token == service_of(PRODUCTION, "api")["environment"]["DTQ_METRICS_TOKEN_FILE"]
    assert dtq["static_configs"] == [{"targets": ["api:3000"]}]


def test_the_dockerfile_passes_its_linter() -> None:
    checked = subprocess.run([BIN / "hadolint", DOCKER / "Dockerfile"], capture_output=True, text=True)

    assert (checked.returncode, checked.stdout) == (0, "")


def test_the_image_runs_as_a_number_that_is_not_root() -> None:
    users = re.findall(r"^USER (.*)$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)

    assert users == ["10001:10001"]  # Kubernetes can prove of a number alone that it is not root


def test_the_image_has_extras_and_settings_that_exist() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    [extras] = re.findall(r'^ARG EXTRAS="(.*)"$', text, re.MULTILINE)

    assert set(extras.split()) <= set(declared)
    assert set(re.findall(r"\b((?:DTQ|JWT|DATABASE|REDIS)_\w+)=", text)) <= set(configuration.variables())


def test_the_image_is_made_of_what_it_needs_alone() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    packages = [path.parent.name for path in ROOT.glob("*/__init__.py")]

    assert [path for path in allowed if not (ROOT / path).exists()] == []
    assert {"manage.py", "templates", "docker/healthcheck", *packages} - {"tests"} <= set(allowed)
    assert (DOCKER / "healthcheck").stat().st_mode & 0o111 == 0o111
