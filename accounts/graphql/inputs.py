"""What clients send to accounts."""

import graphene


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
