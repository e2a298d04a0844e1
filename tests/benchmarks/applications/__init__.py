"""What runs inside of each system: its two handlers and the doors that the producer uses.

Both handlers are those of `counting.py`. A producer loads one of these modules and finds

- `WAYS`: a name for each way to create one task of the handler that counts, and the function that does it;
- `create_many(count)`: so many of them, the fastest way that the system's manual names;
- `create_arrival()`: one task of the handler that tells when it began;
- `clear()`: forget what the system keeps outside of Redis;
- `make_ready()`: return once the system is as it is in daily work;
- `waiting()`: how many tasks wait in Redis;
- `recorded()`: how many outcomes are in the database, or None where the system keeps none.
"""
