"""The GraphQL edge of accounts: types, inputs, and the mixins `AccountsQuery` and `AccountsMutation` for the roof's schema.

Resolvers parse, call one function of the app and shape the answer. Who may call a field stands on its resolver.
"""
