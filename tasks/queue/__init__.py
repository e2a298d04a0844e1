"""The dispatch index: which ids are ready, and which are being handed over.

`index.py` is the protocol; `redis_index.py` keeps it in Redis by the scripts in `lua/`, `database_index.py` reads the rows
themselves while Redis is away, and `rebuild.py` repairs Redis from the rows. A wrong hint costs one refused update, a
lost one is found again: nothing here decides about a task.
"""
