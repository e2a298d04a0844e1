"""The GraphQL edge of tasks: types, inputs, scalars, and the mixins that the roof's schema puts together.

Resolvers parse, call one function of the app and shape the answer. Who may call a field stands on its resolver.
"""
