"""The GraphQL edge of workers: their type, the mixin `WorkersQuery` of the schema, and what they answer on the type Task.

Resolvers parse, call one function of the app and shape the answer. Who may call a field stands on its resolver.
"""
