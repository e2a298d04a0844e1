"""How a worker reaches the server: one protocol, `base.py`, and its implementations. The runtime knows the protocol alone.

`direct.py` calls the gateway in its own process and needs the database and Redis. `remote.py` asks the API, by way of
`worker_api.py` (the operations), `wire.py` (their values) and `graphql_client.py` (HTTP), and has a journal on disk.
"""
