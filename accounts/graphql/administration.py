"""What admins do to users and teams. All of it is in the audit log."""

from __future__ import annotations

from typing import Any

import graphene
from graphene.utils.str_converters import to_camel_case
from graphql import GraphQLResolveInfo

from accounts import models, registration, selectors
from accounts.credentials import check_new_password
from accounts.graphql.arguments import fields_of, read_id
from accounts.graphql.inputs import CreateUserInput, TeamInput, UpdateUserInput
from accounts.graphql.types import Team, User
from accounts.permissions import requires
from dtq_site.foundation.errors import BadInput, NotFound
from dtq_site.foundation.ids import parse_uuid

USER_ID = graphene.ID(required=True, description="The account's id.")


class AdministrationMutation(graphene.ObjectType):
    """The fields of Mutation with which admins keep users and teams."""

    create_user = graphene.Field(
        User,
        required=True,
        input=CreateUserInput(required=True, description="Who it is."),
        description="Make an account; for admins.",
    )
    update_user = graphene.Field(
        User,
        required=True,
        id=USER_ID,
        input=UpdateUserInput(required=True, description="What is to change."),
        description="Change an account, or move it to another team; for admins. It counts from its next request on.",
    )
    deactivate_user = graphene.Field(
        User, required=True, id=USER_ID, description="Let an account in no more and end its sessions; for admins."
    )
    activate_user = graphene.Field(
        User, required=True, id=USER_ID, description="Let an account sign in again; for admins."
    )
    set_password = graphene.Field(
        User,
        required=True,
        id=USER_ID,
        password=graphene.String(required=True, description="The new password; weak ones are refused."),
        description="Give an account another password and end its sessions; for admins.",
    )
    end_sessions = graphene.Field(
        User, required=True, id=USER_ID, description="End all sessions of an account; for admins."
    )
    create_team = graphene.Field(
        Team,
        required=True,
        input=TeamInput(required=True, description="What it is to be."),
        description="Make a team; for admins.",
    )
    update_team = graphene.Field(
        Team,
        required=True,
        id=graphene.ID(required=True, description="The team's id."),
        input=TeamInput(required=True, description="What it is to be."),
        description="Give a team another name; for admins.",
    )

    @staticmethod
    @requires()
    def resolve_create_user(root: None, info: GraphQLResolveInfo, input: dict[str, Any]) -> models.User:
        """Check the password like anybody's, then create the account."""
        given = {field: value for field, value in input.items() if value is not None}
        values = {"username": given["email"], "password": None, **given}
        with fields_of("input"):
            if values["password"] is not None:
                account = models.User(username=values["username"], email=values["email"])
                check_new_password(values["password"], account, field="password")
            if "team" in values:
                values["team"] = _team(values["team"])
            user = registration.create_user(**values, by=info.context.identity)
        return selectors.user(user.id)

    @staticmethod
    @requires()
    def resolve_update_user(root: None, info: GraphQLResolveInfo, id: str, input: dict[str, Any]) -> models.User:
        """Write what was given."""
        with fields_of("input"):
            return _updated(info, id, _changes(input))

    @staticmethod
    @requires()
    def resolve_deactivate_user(root: None, info: GraphQLResolveInfo, id: str) -> models.User:
        """Make it inactive."""
        return _updated(info, id, {"is_active": False})

    @staticmethod
    @requires()
    def resolve_activate_user(root: None, info: GraphQLResolveInfo, id: str) -> models.User:
        """Make it active."""
        return _updated(info, id, {"is_active": True})

    @staticmethod
    @requires()
    def resolve_set_password(root: None, info: GraphQLResolveInfo, id: str, password: str) -> models.User:
        """Replace it."""
        user_id = read_id(id)
        registration.set_password(user_id, password, info.context.identity)
        return selectors.user(user_id)

    @staticmethod
    @requires()
    def resolve_end_sessions(root: None, info: GraphQLResolveInfo, id: str) -> models.User:
        """End them."""
        user_id = read_id(id)
        registration.end_sessions(user_id, info.context.identity)
        return selectors.user(user_id)

    @staticmethod
    @requires()
    def resolve_create_team(root: None, info: GraphQLResolveInfo, input: dict[str, Any]) -> models.Team:
        """Create it."""
        with fields_of("input"):
            return registration.add_team(input["name"], info.context.identity)

    @staticmethod
    @requires()
    def resolve_update_team(root: None, info: GraphQLResolveInfo, id: str, input: dict[str, Any]) -> models.Team:
        """Rename it."""
        team_id = read_id(id)
        with fields_of("input"):
            registration.rename_team(team_id, input["name"], info.context.identity)
        return selectors.team(team_id)


def _updated(info: GraphQLResolveInfo, id: str, changes: registration.AccountChanges) -> models.User:
    user_id = read_id(id)
    registration.update_user(user_id, changes, info.context.identity)
    return selectors.user(user_id)


def _changes(input: dict[str, Any]) -> registration.AccountChanges:
    if not input:
        raise BadInput("Give at least one field to change.")
    changes = {field: _EMPTY.get(field) if value is None else value for field, value in input.items()}
    for field, value in changes.items():
        if value is None:
            raise BadInput("It cannot be null; leave it out to keep what it is.", field=to_camel_case(field))
    return {**changes, "team": _team(changes["team"])} if "team" in changes else changes


_EMPTY = {"name": ""}


def _team(id: str) -> models.Team:
    team = selectors.team(parse_uuid(id))
    if team is None:
        raise NotFound("There is no such team.", field="team")
    return team
