"""What admins do over GraphQL to accounts as a whole, to sessions and to teams, and what the audit log says of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from accounts import authentication, registration
from accounts.identity import Identity
from accounts.models import User
from accounts.roles import Role
from dtq_site.foundation.errors import Conflict, Unauthenticated
from tests.integration.accounts.administering import UPDATE, data, everything, refusal
from tests.integration.accounts.making import PASSWORD, audited, make_user, row_counts, sign_in
from tests.support.factories import ID_OF_NOTHING


@pytest.mark.parametrize(
    "operation",
    [
        "updateUser(id: $id, input: {isActive: false}) { id }",
        "deactivateUser(id: $id) { id }",
        "activateUser(id: $id) { id }",
        f'setPassword(id: $id, password: "{PASSWORD}") {{ id }}',
        "endSessions(id: $id) { id }",
        'updateTeam(id: $id, input: {name: "sailors"}) { id }',
    ],
)
@pytest.mark.parametrize("id", ["ann", ID_OF_NOTHING])
def test_what_is_not_there_is_not_found(root: Identity, operation: str, id: str):
    before = everything()

    assert refusal(f"mutation ($id: ID!) {{ {operation} }}", root, id=id) == ("NOT_FOUND", None)

    assert everything() == before


def test_an_account_is_deactivated_with_its_sessions_and_activated_without_them(root: Identity):
    ann = make_user("ann")
    token = sign_in().access_token
    operation = "mutation ($id: ID!) { %s(id: $id) { isActive } }"

    assert data(operation % "deactivateUser", root, id=str(ann.id)) == {"isActive": False}
    with pytest.raises(Unauthenticated):
        sign_in()
    assert data(operation % "activateUser", root, id=str(ann.id)) == {"isActive": True}

    with pytest.raises(Unauthenticated):
        authentication.identity_from_token(token)
    assert sign_in().user == ann
    changes = [facts["is_active"] for _, action, _, facts in audited() if action == "user.changed"]
    assert changes == [[True, False], [False, True]]


def test_an_admin_sets_a_password_which_ends_the_sessions(root: Identity):
    ann = make_user("ann")
    token = sign_in().access_token
    operation = "mutation ($id: ID!, $new: String!) { setPassword(id: $id, password: $new) { username } }"
    before = everything()
    assert refusal(operation, root, id=str(ann.id), new="short") == ("BAD_USER_INPUT", "password")
    assert everything() == before

    assert data(operation, root, id=str(ann.id), new="another fine day") == {"username": "ann"}

    with pytest.raises(Unauthenticated):
        authentication.identity_from_token(token)
    assert sign_in("ann", "another fine day").user == ann
    assert audited()[-1] == ("root", "user.password_set", f"user:{ann.id}", {"username": "ann"})


def test_an_admin_ends_the_sessions_of_an_account(root: Identity):
    ann = make_user("ann")
    signed_in = sign_in()

    data("mutation ($id: ID!) { endSessions(id: $id) { id } }", root, id=str(ann.id))

    with pytest.raises(Unauthenticated):
        authentication.identity_from_token(signed_in.access_token)
    with pytest.raises(Unauthenticated):
        authentication.refresh(signed_in.refresh_token)
    assert audited()[-1] == ("root", "user.sessions_ended", f"user:{ann.id}", {"username": "ann"})


def test_teams_are_made_renamed_and_listed(root: Identity):
    create = "mutation ($name: String!) { createTeam(input: {name: $name}) { id name } }"
    rename = "mutation ($id: ID!, $name: String!) { updateTeam(id: $id, input: {name: $name}) { id name } }"

    team = data(create, root, name=" Sailors ")
    renamed = data(rename, root, id=team["id"], name="Rowers")

    assert (team["name"], renamed) == ("Sailors", {"id": team["id"], "name": "Rowers"})
    assert [each["name"] for each in data("{ teams { id name createdAt } }", root)] == ["Rowers", "root"]
    target = f"team:{team['id']}"
    assert audited() == [
        ("root", "team.created", target, {"name": "Sailors"}),
        ("root", "team.changed", target, {"name": ["Sailors", "Rowers"]}),
    ]
    before = everything()
    assert refusal(create, root, name="Rowers") == ("CONFLICT", "input.name")
    assert refusal(create, root, name="  ") == ("BAD_USER_INPUT", "input.name")
    assert refusal(rename, root, id=team["id"], name="root") == ("CONFLICT", "input.name")
    assert data(rename, root, id=team["id"], name="Rowers") == renamed
    assert everything() == before


def test_users_and_teams_come_in_pages(root: Identity, django_assert_num_queries: DjangoAssertNumQueries):
    for name in ("ann", "bob", "cyd"):
        make_user(name)
    page = "query ($limit: Int, $offset: Int) { users(limit: $limit, offset: $offset) { username team { name } } }"

    with django_assert_num_queries(1):
        users = data(page, root, limit=2, offset=1)

    assert [user["username"] for user in users] == ["bob", "cyd"]
    assert [user["username"] for user in data(page, root)] == ["ann", "bob", "cyd", "root"]
    assert data("{ teams(limit: 1, offset: 3) { name } }", root) == [{"name": "root"}]
    for limits, field in (({"limit": 1001}, "limit"), ({"limit": -1}, "limit"), ({"offset": -1}, "offset")):
        assert refusal(page, root, **limits) == ("BAD_USER_INPUT", field)


@pytest.mark.parametrize(
    "input", [{"role": "USER"}, {"isActive": False}, {"role": "VIEWER", "isActive": False, "name": "x"}]
)
def test_the_last_active_administrator_stays(root: Identity, input: dict):
    make_user("idle", role=Role.ADMIN, is_active=False)
    before = everything()

    assert refusal(UPDATE % "id", root, id=str(root.user_id), input=input) == ("CONFLICT", None)

    assert everything() == before
    make_user("ann", role=Role.ADMIN)
    assert data(UPDATE % "username", root, id=str(root.user_id), input=input) == {"username": "root"}


@pytest.mark.usefixtures("committed_db")
def test_of_administrators_who_remove_each_other_at_once_one_stays():
    admins = [make_user(name, role=Role.ADMIN) for name in ("ann", "bob", "cyd", "dan")]

    def remove(user: User) -> str:
        try:
            registration.update_user(user.id, {"role": Role.USER})
        except Conflict:
            return "stays"
        finally:
            connection.close()
        return "removed"

    with ThreadPoolExecutor(4) as pool:
        results = sorted(pool.map(remove, admins))

    assert results == ["removed", "removed", "removed", "stays"]
    assert User.objects.filter(role=Role.ADMIN).count() == 1


def test_what_is_undone_leaves_no_trace_in_the_audit_log(root: Identity):
    before = everything()

    with pytest.raises(Conflict):
        registration.create_user(username="root", email="other@example.com", password=None, by=root)

    assert everything() == before
    assert row_counts() == (1, 1)
