"""Worker tokens in the Django admin."""

import re
from datetime import timedelta

import pytest
from django.test import Client

from accounts import worker_tokens
from accounts.models import WorkerToken
from accounts.roles import Role
from tests.integration.accounts.making import audited, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser() -> Client:
    """The browser of an administrator who has signed in."""
    client = Client()
    client.force_login(make_user("root", role=Role.ADMIN))
    return client


def make_token(name: str) -> WorkerToken:
    account = make_user(f"worker-{name}", role=Role.WORKER)
    return worker_tokens.issue(account, name=name, queues=["mail"]).token


def test_worker_tokens_are_shown_and_revoked_and_nothing_else(browser: Client):
    lost, kept = make_token("laptop"), make_token("ship")
    page = f"/admin/accounts/workertoken/{lost.pk}/"

    shown = browser.get(f"{page}change/").content.decode()
    asked = {"action": "revoke", "_selected_action": [str(lost.pk)]}
    question = browser.post("/admin/accounts/workertoken/", asked).content.decode()
    still_good = WorkerToken.objects.filter(revoked_at=None).count()
    response = browser.post("/admin/accounts/workertoken/", {**asked, "confirmed": "yes"})

    assert "laptop" in shown and lost.digest not in shown
    assert "Revoke these worker tokens?" in question and "<li>laptop</li>" in question
    assert (still_good, response.status_code) == (2, 302)
    assert list(WorkerToken.objects.filter(revoked_at=None)) == [kept]
    assert audited()[-1] == ("root", "worker_token.revoked", f"worker_token:{lost.pk}", {"name": "laptop"})
    for forbidden in ("add/", f"{kept.pk}/delete/"):
        assert browser.get(f"/admin/accounts/workertoken/{forbidden}").status_code == 403
    assert WorkerToken.objects.count() == 2


def test_the_list_of_worker_tokens_says_which_are_good(browser: Client):
    good, expired, revoked = (make_token(name) for name in ("a", "b", "c"))
    past = expired.issued_at - timedelta(days=1)
    WorkerToken.objects.filter(pk=expired.pk).update(expires_at=past)
    worker_tokens.revoke(revoked.pk)

    listed = browser.get("/admin/accounts/workertoken/").content.decode()

    states = re.findall(r'class="field-state">(.+?)</td>', listed)
    today = WorkerToken.objects.get(pk=revoked.pk).revoked_at
    assert sorted(states) == [
        f"expired {past:%Y-%m-%d}",
        f"good until {good.expires_at:%Y-%m-%d}",
        f"revoked {today:%Y-%m-%d}",
    ]
