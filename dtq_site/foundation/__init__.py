"""The floor: what every app stands on and what knows no app.

Holds time, ids, errors, options, strict JSON, Lua loading, Redis clients, services and the observer. It imports nothing
of ours. Most of it is pure; `database.py`, `redis_clients.py` and `embedded_redis.py` are the rooms that touch a server.
"""
