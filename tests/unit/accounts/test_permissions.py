"""Who may call a resolver."""

from types import SimpleNamespace
from uuid import uuid4

import pytest

from accounts.identity import Identity
from accounts.permissions import PUBLIC, Access, access_of, public, requires
from accounts.roles import Role
from dtq_site.foundation.errors import Forbidden, Unauthenticated


def info_of(role: Role | None) -> SimpleNamespace:
    identity = role and Identity(uuid4(), "ann", role, uuid4())
    return SimpleNamespace(context=SimpleNamespace(identity=identity))


def test_a_named_role_and_admins_get_through_with_all_arguments():
    resolver = requires(Role.USER)(lambda root, info, **arguments: (root, arguments))

    assert resolver("root", info_of(Role.USER), limit=3) == ("root", {"limit": 3})
    assert resolver("root", info_of(Role.ADMIN)) == ("root", {})


@pytest.mark.parametrize("role", [Role.WORKER, Role.VIEWER])
def test_another_role_is_refused_before_the_resolver_runs(role: Role):
    calls = []
    resolver = requires(Role.USER)(lambda root, info: calls.append(root))

    with pytest.raises(Forbidden, match=f"This takes the role admin or user; yours is {role}."):
        resolver(None, info_of(role))

    assert calls == []


def test_nobody_is_asked_to_sign_in_before_the_resolver_runs():
    calls = []
    resolver = requires(*Role)(lambda root, info: calls.append(root))

    with pytest.raises(Unauthenticated):
        resolver(None, info_of(None))

    assert calls == []


def test_with_no_role_named_only_admins_get_through():
    resolver = requires()(lambda root, info: "secret")

    assert resolver(None, info_of(Role.ADMIN)) == "secret"
    with pytest.raises(Forbidden):
        resolver(None, info_of(Role.USER))


def test_a_public_resolver_runs_for_everybody():
    assert public(lambda root, info: "hello")(None, info_of(None)) == "hello"


def test_the_declaration_can_be_read_from_the_resolver():
    readers = {Role.VIEWER, Role.ADMIN}

    assert access_of(public(lambda root, info: None)) == Access(PUBLIC, False, __name__)
    assert access_of(requires(Role.VIEWER)(lambda root, info: None)) == Access(readers, False, __name__)
    assert access_of(requires(Role.VIEWER, worker_token=True)(lambda root, info: None)) == Access(
        readers, True, __name__
    )
    with pytest.raises(LookupError):
        access_of(lambda root, info: None)


@pytest.mark.parametrize("role", list(Role))
def test_an_identity_is_an_admin_by_its_role_alone(role: Role):
    assert Identity(uuid4(), "ann", role, uuid4()).is_admin is (role == "admin")
