"""Accounts that admins make and change over GraphQL, and what the audit log says of it."""

from __future__ import annotations

from uuid import uuid4

import pytest

from accounts import authentication, registration
from accounts.identity import Identity
from accounts.models import AuditEntry, User
from accounts.roles import Role
from tests.integration.accounts.administering import ALL, CREATE, UPDATE, data, everything, refusal
from tests.integration.accounts.making import PASSWORD, audited, make_user, sign_in
from tests.support.api import ask


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
