"""Users and teams in the Django admin."""

import pytest
from django.contrib import admin
from django.http import HttpResponse
from django.test import Client
from django.urls import include, path

from accounts import authentication, registration
from accounts.models import Team, User
from accounts.roles import Role
from dtq_site.foundation.errors import Unauthenticated
from tests.integration.accounts.making import PASSWORD, audited, make_user, row_counts, sign_in

urlpatterns = [path("", include("accounts.urls")), path("admin/", admin.site.urls)]
pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture
def browser() -> Client:
    """The browser of an administrator who has just signed in."""
    make_user("root", role=Role.ADMIN)
    client = Client()
    assert enter(client, "Root@example.com", PASSWORD).status_code == 302
    return client


def enter(client: Client, login: str, password: str) -> HttpResponse:
    return client.post("/admin/login/", {"username": login, "password": password, "next": "/admin/"})


def errors_of(response: HttpResponse) -> dict:
    assert response.status_code == 200
    return (
        response.context["adminform"].form.errors
        if "adminform" in response.context
        else response.context["form"].errors
    )


@pytest.mark.parametrize("role", [Role.USER, Role.WORKER, Role.VIEWER])
def test_only_admins_come_in(role: Role):
    make_user("ann", role=role)

    assert "__all__" in errors_of(enter(Client(), "ann", PASSWORD))


def test_the_door_counts_failures_like_the_api():
    make_user("root", role=Role.ADMIN)
    for _ in range(10):
        assert errors_of(enter(Client(), "root", "wrong"))["__all__"] == ["The account or the password is wrong."]

    assert errors_of(enter(Client(), "root", PASSWORD))["__all__"] == ["Too many failed logins: wait and try again."]


@pytest.mark.parametrize(
    "page",
    [
        "user/",
        "user/add/",
        "team/",
        "team/add/",
        "user/{user}/change/",
        "user/{user}/password/",
    ],
)
def test_every_page_opens(browser: Client, page: str):
    assert browser.get("/admin/accounts/" + page.format(user=User.objects.get().id)).status_code == 200


def test_a_new_account_can_sign_in(browser: Client):
    team = User.objects.get().team
    form = {"username": "Ann", "email": "Ann@example.com", "name": "Ann", "role": "worker", "team": team.id}

    response = browser.post("/admin/accounts/user/add/", {**form, "password1": PASSWORD, "password2": PASSWORD})

    user = sign_in("ann").user
    assert response.status_code == 302
    assert (user.email, user.role, user.team, user.is_active) == ("ann@example.com", "worker", team, True)
    facts = {"username": "ann", "role": "worker", "team": "root"}
    assert audited()[-1] == ("root", "user.created", f"user:{user.id}", facts)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"username": "ROOT"}, "username"),
        ({"username": "no blanks"}, "username"),
        ({"email": "ROOT@example.com"}, "email"),
        ({"password1": "12345678", "password2": "12345678"}, "password2"),
        ({"team": ""}, "team"),
    ],
)
def test_a_refused_account_is_not_written(browser: Client, changes: dict, field: str):
    form = {"username": "ann", "email": "ann@example.com", "role": "user", "team": User.objects.get().team.id}
    form |= {"password1": PASSWORD, "password2": PASSWORD}

    assert list(errors_of(browser.post("/admin/accounts/user/add/", form | changes))) == [field]

    assert row_counts() == (1, 1)


def test_an_edit_moves_demotes_and_deactivates_but_renames_nobody(browser: Client):
    ann = make_user("ann")
    team = User.objects.get(username="root").team
    form = {"username": "other", "email": "Ann@example.org", "name": "Ann", "role": "viewer", "team": team.id}

    response = browser.post(f"/admin/accounts/user/{ann.id}/change/", form)

    ann.refresh_from_db()
    assert response.status_code == 302
    assert (ann.username, ann.email, ann.name) == ("ann", "ann@example.org", "Ann")
    assert (ann.role, ann.team, ann.is_active, ann.token_version) == ("viewer", team, False, 1)
    assert audited()[-1] == (
        "root",
        "user.changed",
        f"user:{ann.id}",
        {
            "username": "ann",
            "email": ["ann@example.com", "ann@example.org"],
            "name": ["", "Ann"],
            "role": ["user", "viewer"],
            "team": ["ann", "root"],
            "is_active": [True, False],
        },
    )


def test_the_last_active_administrator_stays(browser: Client):
    root = User.objects.get()
    before = User.objects.values().get()
    form = {"email": root.email, "name": "", "role": "user", "team": root.team_id, "is_active": "on"}

    response = browser.post(f"/admin/accounts/user/{root.id}/change/", form, follow=True)

    assert "This is the last active administrator; make another one first." in response.content.decode()
    assert "was changed successfully" not in response.content.decode()
    assert User.objects.values().get() == before


def test_a_new_password_ends_the_accounts_tokens(browser: Client):
    ann = make_user("ann")
    token = sign_in().access_token

    form = {"password1": "another fine day", "password2": "another fine day", "usable_password": "true"}
    response = browser.post(f"/admin/accounts/user/{ann.id}/password/", form)

    assert response.status_code == 302
    with pytest.raises(Unauthenticated):
        authentication.identity_from_token(token)
    assert sign_in("ann", "another fine day").user == ann
    assert audited()[-1] == ("root", "user.password_set", f"user:{ann.id}", {"username": "ann"})


def test_administrators_who_set_their_own_password_stay_signed_in(browser: Client):
    root = User.objects.get()

    form = {"password1": "another fine day", "password2": "another fine day", "usable_password": "true"}
    browser.post(f"/admin/accounts/user/{root.id}/password/", form)

    assert browser.get("/admin/").status_code == 200
    assert sign_in("root", "another fine day").user == root


def test_the_link_to_change_the_own_password_leads_to_the_same_page(browser: Client):
    response = browser.get("/admin/password_change/")

    assert response.url == f"/admin/accounts/user/{User.objects.get().id}/password/"
    assert browser.post("/admin/password_change/", {"old_password": PASSWORD}).status_code == 302


def test_the_end_of_an_accounts_tokens_ends_its_visit_to_the_admin(browser: Client):
    registration.end_sessions(User.objects.get().id)

    assert browser.get("/admin/").status_code == 302


def test_a_refused_password_changes_nothing(browser: Client):
    ann = make_user("ann")
    before = User.objects.values().get(id=ann.id), audited()

    form = {"password1": "12345678", "password2": "12345678", "usable_password": "true"}
    response = browser.post(f"/admin/accounts/user/{ann.id}/password/", form)

    assert list(errors_of(response)) == ["password2"]
    assert (User.objects.values().get(id=ann.id), audited()) == before


def test_a_password_taken_away_ends_the_accounts_tokens(browser: Client):
    ann = make_user("ann")
    token = sign_in().access_token

    form = {"usable_password": "false", "unset-password": "1"}
    assert browser.post(f"/admin/accounts/user/{ann.id}/password/", form).status_code == 302

    for attempt in (lambda: authentication.identity_from_token(token), sign_in):
        with pytest.raises(Unauthenticated):
            attempt()
    assert audited()[-1] == ("root", "user.password_removed", f"user:{ann.id}", {"username": "ann"})


def test_nobody_and_no_team_is_deleted(browser: Client):
    user = User.objects.get()

    for page in (f"user/{user.id}", f"team/{user.team_id}"):
        assert browser.post(f"/admin/accounts/{page}/delete/", {"post": "yes"}).status_code == 403

    assert row_counts() == (1, 1)


def test_a_team_is_added_and_renamed(browser: Client):
    assert browser.post("/admin/accounts/team/add/", {"name": "Sailors"}).status_code == 302
    team = Team.objects.get(name="Sailors")
    assert browser.post(f"/admin/accounts/team/{team.id}/change/", {"name": "Rowers"}).status_code == 302
    assert "name" in errors_of(browser.post("/admin/accounts/team/add/", {"name": "Rowers"}))

    assert list(Team.objects.values_list("name", flat=True)) == ["Rowers", "root"]
    assert [entry[:3] for entry in audited()[-2:]] == [
        ("root", "team.created", f"team:{team.id}"),
        ("root", "team.changed", f"team:{team.id}"),
    ]


def test_teams_are_listed_with_how_many_accounts_they_have(browser: Client):
    registration.add_team("sailors")
    make_user("ann", team=User.objects.get().team)

    teams = browser.get("/admin/accounts/team/").context["cl"].result_list

    assert [(team.name, team.members) for team in teams] == [("root", 2), ("sailors", 0)]


def test_a_name_with_characters_that_nobody_sees_is_refused(browser: Client):
    team = Team.objects.get()

    response = browser.post(f"/admin/accounts/team/{team.id}/change/", {"name": "a\x7fb"}, follow=True)

    assert "It has control characters or half a surrogate pair; remove them." in response.content.decode()
    assert Team.objects.get().name == team.name


def test_nothing_of_a_hash_is_shown(browser: Client):
    root = User.objects.get()
    page = f"/admin/accounts/user/{root.id}/change/"

    shown = browser.get(page).content.decode()
    registration.set_password(make_user("ann").id, None)
    without = browser.get(f"/admin/accounts/user/{User.objects.get(username='ann').id}/change/").content.decode()

    assert "There is one." in shown and "Reset password" in shown
    assert "None fits." in without and "Set password" in without
    for part in ("algorithm", "salt", *root.password.split("$")):
        assert part[:6] not in shown
