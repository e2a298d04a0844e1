"""Built-in handlers that an installation does without."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dtq_site.foundation.options import OptionsError, load
from tasks.options import BUILT_IN_HANDLERS, TasksOptions
from tests.conftest import Servers

ROOT = Path(__file__).parents[3]
KNOWN = (
    "import django; django.setup(); from tasks.handling import registry; print(*sorted(registry.registered().items()))"
)
OWN = '''from tasks import task


@task("send-email")
def mail_by_the_house(to: str) -> None:
    """Sends it the way this house does."""
'''


def handlers_of_a_process(servers: Servers, folder: Path, **variables: str) -> str:
    environment = {**servers.environment, "DJANGO_SETTINGS_MODULE": "dtq_site.settings", **variables}
    environment["PYTHONPATH"] = f"{ROOT}:{folder}"
    return subprocess.check_output([sys.executable, "-c", KNOWN], cwd=folder, env=environment, text=True)


def test_what_is_disabled_is_known_to_no_process_and_its_name_is_free(servers: Servers, tmp_path: Path):
    (tmp_path / "house_handlers.py").write_text(OWN)

    known = handlers_of_a_process(
        servers, tmp_path, DTQ_DISABLED_HANDLERS="http-request,send-email", DTQ_HANDLERS="house_handlers"
    )

    assert "http-request" not in known
    assert "send-email: house_handlers.mail_by_the_house" in known
    assert "daily-report: tasks.handlers.daily_report" in known


def test_a_name_that_is_no_built_in_handler_stops_the_start():
    with pytest.raises(OptionsError) as refused:
        load(TasksOptions, {"DTQ_DISABLED_HANDLERS": "http-requests"})

    (problem,) = refused.value.problems
    assert problem.startswith(
        "DTQ_DISABLED_HANDLERS='http-requests' is not allowed: http-requests: name some of daily-report,"
    )


def test_each_that_may_be_disabled_is_built_in():
    from tasks import handlers

    assert set(BUILT_IN_HANDLERS) == {handlers.send_email.name, handlers.http_request.name, handlers.daily_report.name}
