"""The GraphQL edge: HTTP in, the schema in the middle, answers and errors out. Knows no app but accounts' identities.

`view.py` speaks HTTP, `engine.py` runs one request, `documents.py` keeps parsed documents, `limits.py` bounds them,
`errors.py` shapes what goes wrong. `websocket.py` speaks graphql-transport-ws by the rules of `protocol.py`; `hub.py` feeds
subscriptions with what `listener.py` hears. Resolvers get a `context.RequestContext`. Start reading at `engine.py`.
"""
