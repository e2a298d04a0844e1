"""What clients send to accounts."""

import graphene


class RegisterInput(graphene.InputObjectType):
    """A new account."""

    email = graphene.String(required=True)
    password = graphene.String(required=True)
    name = graphene.String(default_value="")
    username = graphene.String(description="The e-mail address, if left out.")


class LoginInput(graphene.InputObjectType):
    """An account, by its user name or its e-mail address, in either field."""

    email = graphene.String()
    username = graphene.String()
    password = graphene.String(required=True)
