"""How a worker reaches the server: one protocol, `base.py`, and its implementations.

`direct.py` calls the gateway in its own process and needs the database and Redis. The runtime knows the protocol alone.
"""
