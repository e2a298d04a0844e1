"""What admins do to users and teams over GraphQL, and what the audit log says of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from accounts import authentication, registration
from accounts.identity import Identity
from accounts.models import AuditEntry, Team, User
from accounts.roles import Role
from dtq_site.foundation.errors import Conflict, Unauthenticated
from tests.integration.accounts.making import PASSWORD, audited, make_user, row_counts, sign_in
from tests.support.api import ask
from tests.support.factories import ID_OF_NOTHING

CREATE = "mutation ($input: CreateUserInput!) { createUser(input: $input) { %s } }"
UPDATE = "mutation ($id: ID!, $input: UpdateUserInput!) { updateUser(id: $id, input: $input) { %s } }"
ALL = "id username email name role isActive team { id name }"


@pytest.fixture
def root(db: None) -> Identity:
    """An administrator; what the audit log says of its making is forgotten."""
    identity = make_user("root", role=Role.ADMIN).identity
    AuditEntry.objects.all().delete()
    return identity


def data(query: str, identity: Identity, **variables: Any) -> Any:
    """The only field of an answer that must have no errors."""
    body = ask(query, identity=identity, **variables)
    assert "errors" not in body, body
    (answer,) = body["data"].values()
    return answer


def refusal(query: str, identity: Identity | None, **variables: Any) -> tuple[str, str | None]:
    """Code and field of an answer's only error."""
    (error,) = ask(query, identity=identity, **variables)["errors"]
    return error["extensions"]["code"], error["extensions"].get("field")


def everything() -> tuple[list, list, int]:
    """All users, all teams, and how many entries the audit log has, to prove that nothing changed."""
    return list(User.objects.values()), list(Team.objects.values()), AuditEntry.objects.count()


def test_an_admin_makes_an_account_in_a_team(root: Identity):
    team = registration.add_team("sailors")
    given = {"email": "Ann@example.com", "username": "Ann", "password": PASSWORD, "name": "Ann", "role": "WORKER"}

    user = data(CREATE % ALL, root, input={**given, "team": str(team.id)})

    ann = sign_in("ann").user
    assert user == {
        "id": str(ann.id),
        "username": "ann",
        "email": "ann@example.com",
        "name": "Ann",
        "role": "WORKER",
        "isActive": True,
        "team": {"id": str(team.id), "name": "sailors"},
    }
    facts = {"username": "ann", "role": "worker", "team": "sailors"}
    assert audited()[-1] == ("root", "user.created", f"user:{ann.id}", facts)
    assert AuditEntry.objects.first().actor_id == root.user_id


@pytest.mark.parametrize("nothing", [{}, dict.fromkeys(("username", "password", "name", "role", "team"))])
def test_an_account_needs_an_address_and_nothing_else(root: Identity, nothing: dict):
    user = data(CREATE % ALL, root, input={"email": "ann@example.com", **nothing})

    assert (user["username"], user["role"], user["name"]) == ("ann@example.com", "USER", "")
    assert user["team"]["name"] == "ann@example.com"
    assert not User.objects.get(id=user["id"]).has_usable_password()


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"email": "nowhere"}, ("BAD_USER_INPUT", "input.email")),
        ({"email": "ROOT@example.com"}, ("CONFLICT", "input.email")),
        ({"username": "Root"}, ("CONFLICT", "input.username")),
        ({"username": "no blanks"}, ("BAD_USER_INPUT", "input.username")),
        ({"password": "12345678"}, ("BAD_USER_INPUT", "input.password")),
        ({"password": "ann@example.com"}, ("BAD_USER_INPUT", "input.password")),
        ({"name": "x" * 201}, ("BAD_USER_INPUT", "input.name")),
        ({"team": str(uuid4())}, ("NOT_FOUND", "input.team")),
        ({"team": "sailors"}, ("NOT_FOUND", "input.team")),
        ({"role": "EMPEROR"}, ("BAD_USER_INPUT", "input.role")),
    ],
)
def test_a_refused_account_is_named_by_its_field_and_not_written(root: Identity, changes: dict, answer: tuple):
    before = everything()

    assert refusal(CREATE % "id", root, input={"email": "ann@example.com", **changes}) == answer

    assert everything() == before


def test_an_admin_changes_and_moves_an_account_and_it_counts_at_once(root: Identity):
    ann = make_user("ann")
    token = sign_in().access_token
    team = registration.add_team("sailors")
    changes = {"email": "ann@example.org", "name": "Ann", "role": "VIEWER", "team": str(team.id)}

    user = data(UPDATE % ALL, root, id=str(ann.id), input=changes)

    assert (user["email"], user["name"], user["role"]) == ("ann@example.org", "Ann", "VIEWER")
    assert authentication.identity_from_token(token) == Identity(ann.id, "ann", Role.VIEWER, team.id)
    assert audited()[-1] == (
        "root",
        "user.changed",
        f"user:{ann.id}",
        {
            "username": "ann",
            "email": ["ann@example.com", "ann@example.org"],
            "name": ["", "Ann"],
            "role": ["user", "viewer"],
            "team": ["ann", "sailors"],
        },
    )


def test_what_is_left_out_stays_and_what_stays_is_not_audited(root: Identity):
    ann = make_user("ann", name="Ann")
    before = everything()

    user = data(UPDATE % ALL, root, id=str(ann.id), input={"name": " Ann "})

    assert (user["name"], user["email"], user["role"]) == ("Ann", "ann@example.com", "USER")
    assert everything() == before


@pytest.mark.parametrize(
    ("input", "answer"),
    [
        ({}, ("BAD_USER_INPUT", "input")),
        ({"email": None}, ("BAD_USER_INPUT", "input.email")),
        ({"name": None, "role": None}, ("BAD_USER_INPUT", "input.role")),
        ({"team": None}, ("BAD_USER_INPUT", "input.team")),
        ({"isActive": None}, ("BAD_USER_INPUT", "input.isActive")),
        ({"email": "nowhere"}, ("BAD_USER_INPUT", "input.email")),
        ({"email": "root@example.com"}, ("CONFLICT", "input.email")),
        ({"name": "a\x00b"}, ("BAD_USER_INPUT", "input.name")),
        ({"team": str(uuid4())}, ("NOT_FOUND", "input.team")),
    ],
)
def test_a_refused_change_changes_nothing(root: Identity, input: dict, answer: tuple):
    ann = make_user("ann")
    before = everything()

    assert refusal(UPDATE % "id", root, id=str(ann.id), input=input) == answer

    assert everything() == before


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


def test_null_empties_the_name_of_an_account(root: Identity):
    ann = make_user("ann", name="Ann")

    assert data(UPDATE % "name", root, id=str(ann.id), input={"name": None}) == {"name": ""}
    assert audited()[-1][3] == {"username": "ann", "name": ["Ann", ""]}


@pytest.mark.parametrize("spelling", ["VIEWER", "viewer", "Viewer"])
def test_a_role_may_be_written_in_any_case_and_as_text(root: Identity, spelling: str):
    ann = str(make_user("ann").id)
    literals = f"""mutation {{
        a: updateUser(id: "{ann}", input: {{role: {spelling}}}) {{ role }}
        b: updateUser(id: "{ann}", input: {{role: "{spelling}"}}) {{ role }} }}"""
    variable = "mutation ($id: ID!, $role: String) { updateUser(id: $id, input: {role: $role}) { role } }"

    assert ask(literals, identity=root) == {"data": {"a": {"role": "VIEWER"}, "b": {"role": "VIEWER"}}}
    assert data(variable, root, id=ann, role=spelling) == {"role": "VIEWER"}
    assert data(UPDATE % "role", root, id=ann, input={"role": spelling}) == {"role": "VIEWER"}
    assert User.objects.get(id=ann).role == Role.VIEWER
