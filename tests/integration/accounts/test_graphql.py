"""The fields of accounts in the GraphQL schema."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import graphene
import pytest
from pytest_django import DjangoAssertNumQueries, Settings

from accounts import authentication
from accounts.graphql.mutations import AccountsMutation
from accounts.graphql.queries import AccountsQuery
from accounts.models import User
from accounts.permissions import PUBLIC, access_of
from accounts.roles import Role
from dtq_site.foundation.errors import Unauthenticated
from dtq_site.foundation.scalars import DateTime
from tests.integration.accounts.making import ADDRESS, PASSWORD, make_user, row_counts, sign_in

pytestmark = pytest.mark.django_db


class Query(AccountsQuery):
    """Accounts alone."""


class Mutation(AccountsMutation):
    """Accounts alone."""


schema = graphene.Schema(query=Query, mutation=Mutation)


def ask(operation: str, token: str | None = None, **variables: Any) -> dict:
    """The data of an answer that must have no errors."""
    result = _execute(operation, token, variables)
    assert result.errors is None
    return result.data


def refusal(operation: str, token: str | None = None, **variables: Any) -> tuple[str, str | None]:
    """Code and field of an answer's only error."""
    (error,) = _execute(operation, token, variables).errors
    return error.original_error.code, error.original_error.field


def _execute(operation: str, token: str | None, variables: dict) -> Any:
    access = authentication.authenticate(token) if token else None
    context = SimpleNamespace(
        identity=access and access.identity, session_id=access and access.session_id, address=ADDRESS, request_id="1"
    )
    return schema.execute(operation, context=context, variables=variables)


REGISTER = """
mutation Register {
  register(input: {email: "user@example.com", password: "securepassword", name: "John Doe"}) {
    accessToken refreshToken expiresIn user { id username email name role isActive createdAt team { id name } }
  }
}"""
LOGIN = "mutation ($input: LoginInput!) { login(input: $input) { accessToken refreshToken user { id email role } } }"


def test_register_signs_the_new_user_in():
    payload = ask(REGISTER)["register"]

    user = User.objects.select_related("team").get()
    assert payload["user"] == {
        "id": str(user.id),
        "username": "user@example.com",
        "email": "user@example.com",
        "name": "John Doe",
        "role": "USER",
        "isActive": True,
        "createdAt": DateTime.serialize(user.created_at),
        "team": {"id": str(user.team_id), "name": "user@example.com"},
    }
    assert payload["expiresIn"] == 86_400
    assert ask("{ me { username } }", payload["accessToken"]) == {"me": {"username": "user@example.com"}}


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"password": "12345678"}, ("BAD_USER_INPUT", "input.password")),
        ({"email": "nowhere"}, ("BAD_USER_INPUT", "input.email")),
        ({"email": "ANN@example.com"}, ("CONFLICT", "input.email")),
        ({"username": "Ann"}, ("CONFLICT", "input.username")),
    ],
)
def test_a_refused_registration_names_the_field_as_it_was_written(changes: dict, answer: tuple):
    make_user("ann")
    operation = "mutation ($input: RegisterInput!) { register(input: $input) { accessToken } }"

    got = refusal(operation, input={"email": "bob@example.com", "password": PASSWORD, **changes})

    assert got == answer
    assert row_counts() == (1, 1)


def test_register_is_refused_where_registration_is_closed(settings: Settings):
    settings.DTQ_ACCOUNTS = replace(settings.DTQ_ACCOUNTS, registration="closed")

    assert refusal(REGISTER) == ("FORBIDDEN", None)
    assert row_counts() == (0, 0)


@pytest.mark.parametrize("login", [{"email": "ann@example.com"}, {"username": "ann"}, {"email": "ann"}])
def test_login_takes_a_name_or_an_address(login: dict):
    user = make_user("ann", role=Role.WORKER)

    payload = ask(LOGIN, input={**login, "password": PASSWORD})["login"]

    assert payload["user"] == {"id": str(user.id), "email": "ann@example.com", "role": "WORKER"}


def test_login_needs_exactly_one_of_the_two():
    both = {"email": "ann@example.com", "username": "ann", "password": PASSWORD}

    assert refusal(LOGIN, input={"password": PASSWORD}) == ("BAD_USER_INPUT", "input.username")
    assert refusal(LOGIN, input=both) == ("BAD_USER_INPUT", "input.username")


def test_a_wrong_password_is_unauthenticated():
    make_user("ann")

    assert refusal(LOGIN, input={"username": "ann", "password": "wrong"}) == ("UNAUTHENTICATED", None)


def test_a_token_is_refreshed_once():
    make_user("ann")
    spent = sign_in().refresh_token
    operation = "mutation ($raw: String!) { refreshToken(refreshToken: $raw) { accessToken user { email } } }"

    payload = ask(operation, raw=spent)["refreshToken"]

    assert payload["user"] == {"email": "ann@example.com"}
    assert refusal(operation, raw=spent) == ("UNAUTHENTICATED", None)


def test_logout_ends_the_session_of_the_token_or_else_all_of_the_account():
    make_user("ann")
    first, second, third = sign_in(), sign_in(), sign_in()

    assert ask("mutation ($raw: String) { logout(refreshToken: $raw) }", raw=first.refresh_token) == {"logout": True}
    assert ask("{ me { username } }", second.access_token) == {"me": {"username": "ann"}}
    assert ask("mutation { logout }", second.access_token) == {"logout": True}

    for ended in (first, second, third):
        with pytest.raises(Unauthenticated):
            authentication.authenticate(ended.access_token)
    assert refusal("mutation { logout }") == ("UNAUTHENTICATED", None)


def test_change_password_ends_the_other_sessions():
    make_user("ann")
    token, other = sign_in().access_token, sign_in().access_token
    operation = 'mutation ($current: String!) { changePassword(current: $current, new: "another fine day") }'

    assert refusal(operation, token, current="wrong") == ("BAD_USER_INPUT", "current")
    assert refusal(operation, current=PASSWORD) == ("UNAUTHENTICATED", None)
    assert ask(operation, token, current=PASSWORD) == {"changePassword": True}

    with pytest.raises(Unauthenticated):
        authentication.authenticate(other)
    assert ask("{ me { username } }", token) == {"me": {"username": "ann"}}
    assert sign_in("ann", "another fine day").user.username == "ann"


def test_me_needs_a_token():
    assert refusal("{ me { id } }") == ("UNAUTHENTICATED", None)


def test_users_are_listed_for_admins_only_with_their_teams_in_one_query(
    django_assert_num_queries: DjangoAssertNumQueries,
):
    admin = make_user("root", role=Role.ADMIN)
    make_user("ann", team=admin.team)
    make_user("bob")
    token, other = sign_in("root").access_token, sign_in("bob").access_token

    with django_assert_num_queries(2):  # who asks, and the list
        users = ask("{ users { username email team { name } } }", token)["users"]

    assert users == [
        {"username": "ann", "email": "ann@example.com", "team": {"name": "root"}},
        {"username": "bob", "email": "bob@example.com", "team": {"name": "bob"}},
        {"username": "root", "email": "root@example.com", "team": {"name": "root"}},
    ]
    assert refusal("{ users { id } }", other) == ("FORBIDDEN", None)
    assert refusal("{ users { id } }") == ("UNAUTHENTICATED", None)


class Probe(AccountsQuery):
    """Shows one account to whoever asks, as an upper app's field would."""

    creator = graphene.Field("accounts.graphql.types.User")

    @staticmethod
    def resolve_creator(root: None, info: Any) -> User:
        return User.objects.get(username="ann")


@pytest.mark.parametrize(("caller", "email"), [("mate", "ann@example.com"), ("root", "ann@example.com"), ("bob", None)])
def test_an_address_is_shown_within_the_team_and_to_admins(caller: str, email: str | None):
    ann = make_user("ann")
    make_user("mate", team=ann.team)
    make_user("bob")
    make_user("root", role=Role.ADMIN)
    identity = authentication.identity_from_token(sign_in(caller).access_token)

    result = graphene.Schema(query=Probe).execute(
        "{ creator { username email } }", context=SimpleNamespace(identity=identity)
    )

    assert (result.errors, result.data) == (None, {"creator": {"username": "ann", "email": email}})


def test_who_signs_in_sees_their_own_address_whatever_token_the_request_bears():
    make_user("ann")
    make_user("bob")

    payload = ask(
        'mutation { login(input: {email: "ann", password: "a fine day for sailing"}) { me: user { mail: email } } }',
        sign_in("bob").access_token,
    )

    assert payload == {"login": {"me": {"mail": "ann@example.com"}}}


def test_every_field_declares_who_may_call_it():
    access = {
        name.removeprefix("resolve_"): access_of(getattr(kind, name)).roles
        for kind in (AccountsQuery, AccountsMutation)
        for name in dir(kind)
        if name.startswith("resolve_")
    }

    assert access == {
        "me": set(Role),
        "teams": {Role.ADMIN},
        "users": {Role.ADMIN},
        "register": PUBLIC,
        "login": PUBLIC,
        "refresh_token": PUBLIC,
        "logout": PUBLIC,
        "change_password": set(Role),
        "create_user": {Role.ADMIN},
        "update_user": {Role.ADMIN},
        "deactivate_user": {Role.ADMIN},
        "activate_user": {Role.ADMIN},
        "set_password": {Role.ADMIN},
        "end_sessions": {Role.ADMIN},
        "create_team": {Role.ADMIN},
        "update_team": {Role.ADMIN},
    }
