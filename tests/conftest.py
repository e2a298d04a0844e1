"""The run's servers, and the fixtures that every test may use.

The servers are up before Django's settings are read, so the settings module is named here and not in pyproject.toml. The
same suite runs on both backings: `pytest` alone takes SQLite and the embedded Redis, `pytest --backing=mariadb` the servers.
"""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker
from redis import Redis

from tests.support import backing
from tests.support.database import Baseline
from tests.support.processes import Processes


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--backing`."""
    parser.addoption("--backing", choices=backing.NAMES, default=backing.NAMES[0], help="what the tests stand on")


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers, then Django."""
    if "dtq_site.settings" in sys.modules:
        pytest.exit("DJANGO_SETTINGS_MODULE must not be set: the tests choose their servers before they load it", 2)
    name = config.getoption("backing")
    if missing := backing.missing_packages(name):
        remedy = f"this needs the Debian packages {', '.join(missing)}: apt-get install {' '.join(missing)}"
        if os.environ.get("CI"):
            pytest.exit(remedy, 2)
        config.stash[_missing] = remedy
        name = "sqlite"
    if config.getoption("numprocesses") and not hasattr(config, "workerinput"):
        return  # the processes that pytest-xdist starts run the tests, each on servers of its own
    opened = backing.open_backing(name)
    environment = opened.__enter__()
    config.add_cleanup(lambda: opened.__exit__(None, None, None))
    _start_django(environment)


_missing = pytest.StashKey[str]()


def _start_django(environment: dict[str, str]) -> None:
    os.environ.update(environment, DJANGO_SETTINGS_MODULE="dtq_site.settings")

    import django
    from django.conf import settings

    from dtq_site.foundation.embedded_redis import hold

    if settings.REDIS_IS_EMBEDDED:
        hold(settings.EMBEDDED_REDIS_FOLDER)
    django.setup()

    from tests.support import write_guard

    write_guard.install()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip everything, saying why, where the servers that were asked for are not installed.

    Side by side the files are mixed, always alike: those that wait for processes beside those that use a processor. The last
    ones are short, so that no process works on alone for long.
    """
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _place(item.nodeid.partition("::")[0]))
    if remedy := config.stash.get(_missing, None):
        for item in items:
            item.add_marker(pytest.mark.skip(reason=remedy))


def _place(file: str) -> float:
    return crc32(file.encode()) * (1.0 if file.startswith(("tests/integration", "tests/unit")) else 0.8)


@pytest.fixture(scope="session", autouse=True)
def _asks_the_time_once() -> None:
    """A look at the database's clock in the midst of a test would be one statement more than it counts."""
    from dtq_site.foundation.database import database_clock

    database_clock._resample_seconds = math.inf


@dataclasses.dataclass(frozen=True)
class Servers:
    """Where the servers of this run are, for processes of their own."""

    database_url: str
    redis_url: str
    environment: dict[str, str]


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Baseline]:
    """The migrated test database, in place of pytest-django's, which leaves it out where no test bears its mark."""
    from django.test.utils import setup_databases, teardown_databases

    with django_db_blocker.unblock():
        configuration = setup_databases(verbosity=0, interactive=False, serialized_aliases=[])
        baseline = Baseline()
    yield baseline
    with django_db_blocker.unblock():
        teardown_databases(configuration, verbosity=0)


@pytest.fixture(scope="session")
def servers(django_db_setup: Baseline) -> Servers:
    """The run's servers; a process started with this environment sees the same database as the test."""
    from django.conf import settings

    database = settings.DATABASES["default"]
    if "sqlite" in database["ENGINE"]:
        url = f"sqlite:///{database['NAME']}"
    else:
        url = f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/{database['NAME']}"
    return Servers(url, settings.REDIS_URL, {**os.environ, "DATABASE_URL": url})


@pytest.fixture
def committed_db(django_db_setup: Baseline, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The database without a transaction around the test: threads and processes see what it commits, hooks on commit run.

    Afterwards the rows are what they were. Far faster than `django_db(transaction=True)`, which it replaces.
    """
    from accounts import registration
    from tasks import queues

    with django_db_blocker.unblock():
        yield
        connection.close()  # the test may have had it killed, or changed its session
        django_db_setup.restore()
        queues.forget_known()
        registration.forget_teams()


@pytest.fixture
def redis_server() -> Iterator[Redis]:
    """A client of the run's Redis, which is empty when the test begins."""
    from django.conf import settings

    from dtq_site.foundation.redis_clients import redis_client

    client = redis_client(settings.REDIS_URL, timeout_seconds=5)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def processes(servers: Servers, tmp_path: Path) -> Iterator[Processes]:
    """Starts real processes of ours against the run's servers. Use it with `committed_db`."""
    started = Processes(servers.environment, tmp_path)
    yield started
    started.clear_away()
