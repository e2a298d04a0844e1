"""The GraphQL edge of scheduling: the type Schedule, the mixins of the schema, and what schedules answer on the type Task.

Resolvers parse, call one function of the app and shape the answer. Who may call a field stands on its resolver.
"""
