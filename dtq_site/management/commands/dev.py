"""`manage.py dev`: the whole of DTQ on one screen, for development. `make run` calls it."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from io import StringIO
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connections

from accounts import demo
from dtq_site.development.changes import API, SCHEDULER, WORKER
from dtq_site.development.child import Child
from dtq_site.development.preflight import folder_problem, port_problem
from dtq_site.development.screen import Screen, wants_colours
from dtq_site.development.session import Session
from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.embedded_redis import hold

HOST = "127.0.0.1"
COMMANDS = {API: ("runserver", "--noreload"), WORKER: ("runworker",), SCHEDULER: ("runscheduler",)}
_GRACE_MARGIN_SECONDS = 5.0


class Command(BaseCommand):
    """Prepare the database and the accounts, then run API, worker and scheduler until Ctrl-C."""

    help = "Run API, one worker and the scheduler on one screen and restart them when code changes."
    requires_system_checks: tuple[str, ...] = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """Prepare and run; a Ctrl-C while it prepares ends it too."""
        with contextlib.suppress(KeyboardInterrupt):
            begun = elapsed_clock()
            _prepare()
            _run(begun)


def _prepare() -> None:
    """Refuse what cannot succeed, each with one line; then have Redis, tables and accounts."""
    if settings.PRODUCTION:
        raise CommandError(
            "dev is for development. Production runs the three processes by themselves: docs/DEPLOYMENT.md."
        )
    if problem := folder_problem(settings.DATA_FOLDER) or port_problem(HOST, settings.DTQ_SITE.port):
        raise CommandError(problem)
    if settings.REDIS_IS_EMBEDDED:
        hold(settings.EMBEDDED_REDIS_FOLDER)
    _migrate()
    call_command("seed_users", stdout=StringIO())
    connections.close_all()


def _run(begun: float) -> None:
    port = settings.DTQ_SITE.port
    colours = wants_colours(os.environ, is_terminal=sys.stdout.isatty())
    screen = Screen(sys.stdout, list(COMMANDS), colours=colours)
    Session(
        [_child(name, screen) for name in COMMANDS],
        root=settings.BASE_DIR,
        screen=screen,
        is_ready=lambda: _listens(port),
        welcome=lambda: _welcome(port, elapsed_clock() - begun),
        migrate=_migrate,
    ).run()


def _migrate() -> None:
    try:
        call_command("migrate", verbosity=0, interactive=False)
    except OperationalError as error:
        raise CommandError(
            f"The database does not answer: {error.args[-1]}. Start it, or correct DATABASE_URL."
        ) from None
    finally:
        connections.close_all()


def _child(name: str, screen: Screen) -> Child:
    environment = {key: value for key, value in os.environ.items() if key not in ("FORCE_COLOR", "NO_COLOR")}
    environment |= {"PYTHONUNBUFFERED": "1"} | ({"FORCE_COLOR": "1"} if screen.colours else {"NO_COLOR": "1"})
    return Child(
        name,
        [sys.executable, str(settings.BASE_DIR / "manage.py"), *COMMANDS[name]],
        environment=environment,
        screen=screen,
        grace_seconds=settings.DTQ_WORKERS.grace_period.total_seconds() + _GRACE_MARGIN_SECONDS,
    )


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _welcome(port: int, seconds: float) -> str:
    url = f"http://{HOST}:{port}"
    accounts = ", ".join(f"{role}/{demo.password(role)}" for role in demo.ROLES)
    first = demo.ROLES[0]
    return f"""
DTQ is ready ({seconds:.1f} s). Ctrl-C ends it.

  pages       {url}/
  GraphQL     {url}/graphql   (GraphiQL in a browser)
  admin       {url}/admin/
  health      {url}/health    metrics {url}/metrics

  accounts    {accounts}
  sign in     curl {url}/auth/login -H 'Content-Type: application/json' \\
                -d '{{"username": "{first}", "password": "{demo.password(first)}"}}'

"""
