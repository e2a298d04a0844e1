"""The client of scripts and programs, over a line that breaks and beyond the life of a token."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.remote.conftest import TEAM, access_token
from tests.support.tcp_proxy import TcpProxy
from workers import client as module
from workers.client import Client, SignIn
from workers.transports.graphql_client import TokenRefused

pytestmark = pytest.mark.usefixtures("committed_db", "redis_server")

PASSWORD = "a fine day for sailing"


@pytest.fixture
def account() -> str:
    """The name of an account with that password."""
    from accounts import registration

    team = registration.team_named(TEAM)
    return registration.create_user(username="shop", email="shop@example.com", password=PASSWORD, team=team).username


def test_a_script_that_is_cut_off_creates_its_tasks_once_when_it_is_back(proxy, start_remote, tmp_path, journal):
    from tasks.models import Task

    token = access_token()
    with proxy.away(), Client(proxy.url, token, store=tmp_path / "client") as script:
        asked = script.enqueue("journal", {"journal": str(journal), "word": "x"})
        assert (asked.id, asked.status) == (None, None)
        script.enqueue("journal", {"journal": str(journal), "word": "y"}, idempotency_key="mine")
        script.enqueue("no name", {})
    assert Task.objects.count() == 0

    with Client(proxy.url, token, store=tmp_path / "client") as again:
        assert again.deliver()
        start_remote()
        repeated = again.enqueue("journal", {"journal": str(journal), "word": "y"}, idempotency_key="mine")
        assert again.wait(repeated.id)["result"] == "y"
        ((key, reason),) = again.refused

    assert "name" in reason and key
    assert sorted(Task.objects.values_list("payload__word", flat=True)) == ["x", "y"]
    assert list((tmp_path / "client").glob("*.sqlite3*")) == []


def test_who_signs_in_while_cut_off_loses_nothing(proxy: TcpProxy, account: str, tmp_path: Path):
    from tasks.models import Task

    with Client(proxy.url, SignIn(proxy.url, account, PASSWORD), store=tmp_path) as script:
        with proxy.away():
            assert script.enqueue("later").id is None
        assert script.deliver()

        task = Task.objects.get()
        assert task.name == "later"
        assert script.task(str(task.pk))["status"] == "QUEUED"


def test_a_token_is_kept_for_half_its_life(proxy: TcpProxy, account: str, monkeypatch: pytest.MonkeyPatch):
    now = 1000.0
    monkeypatch.setattr(module, "elapsed_clock", lambda: now)
    sign_in = SignIn(proxy.url, account, PASSWORD)
    first = sign_in()

    now += 12 * 3600 - 1
    assert sign_in() == first
    now += 1
    second = sign_in()

    assert second != first
    assert Client(proxy.url, second).enqueue("job").id


def test_a_wrong_password_is_told_at_once_and_nothing_is_kept(proxy: TcpProxy, account: str, tmp_path: Path):
    with Client(proxy.url, SignIn(proxy.url, account, "another"), store=tmp_path) as script:
        with pytest.raises(TokenRefused):
            script.enqueue("job")
        assert script.deliver()  # nothing waits
