"""What a list of the admin may be asked by its address: what its filters ask, and nothing else."""

from __future__ import annotations

import html
import re

import pytest
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts.models import User
from accounts.roles import Role
from tests.integration.webhooks.making import subscribe
from tests.support.factories import create, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser() -> Client:
    """The browser of an administrator who has signed in."""
    client = Client()
    client.force_login(make_user("root", role=Role.ADMIN))
    return client


def pages() -> dict[str, ModelAdmin]:
    """The lists of the admin, by their addresses."""
    site = list(admin.site._registry.values())
    return {reverse(f"admin:{each.opts.app_label}_{each.opts.model_name}_changelist"): each for each in site}


def test_a_secret_cannot_be_guessed_letter_by_letter(browser: Client):
    webhook, root = subscribe().webhook, User.objects.get(username="root")
    asked = [
        ("/admin/tasks/webhook/", "secret__startswith", webhook.secret[:8]),
        ("/admin/accounts/user/", "password__startswith", root.password[:8]),
        ("/admin/accounts/workertoken/", "digest__startswith", "0"),
    ]

    answers = [browser.get(page, {lookup: value}) for page, lookup, value in asked]

    assert [answer.status_code for answer in answers] == [400, 400, 400]


def test_no_list_may_be_asked_how_a_column_begins():
    request = RequestFactory().get("/admin/")

    open_ones = [
        (page, column.name)
        for page, rows in pages().items()
        for column in rows.opts.concrete_fields
        if rows.lookup_allowed(f"{column.name}__startswith", "a", request)
    ]

    assert len(pages()) >= 12
    assert open_ones == []


def test_every_link_of_a_list_leads_to_a_list(browser: Client):
    create(queue="mail")
    subscribe()

    links = {
        html.unescape(link) if link.startswith("/") else page + html.unescape(link)
        for page in pages()
        for link in re.findall(r'href="((?:/admin/[^"?]*)?\?[^"]+)"', browser.get(page).content.decode())
    }

    assert {"/admin/tasks/webhook/?active__exact=1", "/admin/tasks/task/?queue=mail"} <= links
    assert {link for link in links if browser.get(link).status_code != 200} == set()
