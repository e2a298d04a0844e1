"""Signing up, in and out; what admins do to accounts stands in `administration.py`."""

from __future__ import annotations

from typing import Any

import graphene
from graphql import GraphQLResolveInfo

from accounts import authentication, registration
from accounts.authentication import SignedIn
from accounts.graphql.administration import AdministrationMutation
from accounts.graphql.arguments import fields_of
from accounts.graphql.inputs import LoginInput, RegisterInput
from accounts.graphql.types import AuthPayload
from accounts.permissions import public, requires
from accounts.roles import Role
from dtq_site.foundation.errors import BadInput


class AccountsMutation(AdministrationMutation, graphene.ObjectType):
    """The fields of Mutation that accounts answer."""

    register = graphene.Field(
        AuthPayload,
        required=True,
        input=RegisterInput(required=True, description="Who wants an account."),
        description="Make an account with role USER in a team of its own, and start a session.",
    )
    login = graphene.Field(
        AuthPayload,
        required=True,
        input=LoginInput(required=True, description="Whose session it is."),
        description="Start a session.",
    )
    refresh_token = graphene.Field(
        AuthPayload,
        required=True,
        refresh_token=graphene.String(required=True, description="The token of the last answer; it is good once."),
        description="Spend a refresh token for the session's next pair of tokens.",
    )
    logout = graphene.Field(
        graphene.Boolean,
        required=True,
        refresh_token=graphene.String(description="The refresh token of the session that is to end."),
        description="End the session of that token; without one, all sessions of the account that sends the request.",
    )
    change_password = graphene.Field(
        graphene.Boolean,
        required=True,
        current=graphene.String(required=True, description="The present password."),
        new=graphene.String(required=True, description="The new password; weak ones are refused."),
        description="Change the caller's password and end all other sessions of the account.",
    )

    @staticmethod
    @public
    def resolve_register(root: None, info: GraphQLResolveInfo, input: dict[str, Any]) -> SignedIn:
        """Create the account and sign it in."""
        given = {field: value for field, value in input.items() if value is not None}
        with fields_of("input"):
            return authentication.sign_in(registration.register(**given, address=info.context.address))

    @staticmethod
    @public
    def resolve_login(root: None, info: GraphQLResolveInfo, input: dict[str, Any]) -> SignedIn:
        """Check the password and start a session."""
        logins = [input[field] for field in ("username", "email") if input.get(field)]
        if len(logins) != 1:
            raise BadInput("Give either 'username' or 'email'.", field="input.username")
        with fields_of("input"):
            return authentication.log_in(login=logins[0], password=input["password"], address=info.context.address)

    @staticmethod
    @public
    def resolve_refresh_token(root: None, info: GraphQLResolveInfo, refresh_token: str) -> SignedIn:
        """Rotate the token."""
        return authentication.refresh(refresh_token)

    @staticmethod
    @public
    def resolve_logout(root: None, info: GraphQLResolveInfo, refresh_token: str | None = None) -> bool:
        """Revoke one session or all."""
        authentication.log_out(refresh_token=refresh_token, identity=info.context.identity)
        return True

    @staticmethod
    @requires(*Role)
    def resolve_change_password(root: None, info: GraphQLResolveInfo, current: str, new: str) -> bool:
        """Check the present password and replace it."""
        context = info.context
        authentication.change_password(
            identity=context.identity,
            session_id=context.session_id,
            current=current,
            new=new,
            address=context.address,
        )
        return True
