"""What clients send to accounts."""

import graphene

from accounts.graphql.types import Role


class RegisterInput(graphene.InputObjectType):
    """A new account."""

    email = graphene.String(required=True, description="The e-mail address.")
    password = graphene.String(required=True, description="The password; weak ones are refused.")
    name = graphene.String(default_value="", description="What people call you.")
    username = graphene.String(description="The e-mail address, if left out.")


class LoginInput(graphene.InputObjectType):
    """An account, by its user name or its e-mail address, in either field."""

    email = graphene.String(description="The e-mail address or the user name.")
    username = graphene.String(description="The same; give one of the two.")
    password = graphene.String(required=True, description="The password.")


class CreateUserInput(graphene.InputObjectType):
    """An account that an admin makes for somebody."""

    email = graphene.String(required=True, description="The e-mail address.")
    username = graphene.String(description="The name to sign in with; the e-mail address, if left out.")
    password = graphene.String(description="The password; weak ones are refused. Without one no password fits.")
    name = graphene.String(description="What people call the owner.")
    role = Role(description="What the account may do; USER, if left out.")
    team = graphene.ID(description="The team that it belongs to; a new one of its own, if left out.")


class UpdateUserInput(graphene.InputObjectType):
    """What is to change about an account. Fields that are left out stay as they are; null empties the name and is refused for the
    others, which nobody sets by saying nothing.
    """

    email = graphene.String(description="The new e-mail address.")
    name = graphene.String(description="What people call the owner from now on; null is nothing.")
    role = Role(description="What the account may do from now on.")
    team = graphene.ID(description="The team to move to. Tasks stay with the team in which they were made.")
    is_active = graphene.Boolean(description="Whether it can sign in; false also ends its sessions.")


class TeamInput(graphene.InputObjectType):
    """A team, as it is to be."""

    name = graphene.String(required=True, description="Its name, which no other team has.")
