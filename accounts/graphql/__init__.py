"""The GraphQL edge of accounts: types, inputs, and the mixins `AccountsQuery` and `AccountsMutation` of the schema.

Resolvers parse, call one function of the app and shape the answer. Who may call a field stands on its resolver.
"""
