"""The scheduler process: who leads, and how duties run while it leads.

`leader.py` holds the lease; `duty.py` is the shape of one job of upkeep; `reachability.py` bears an outage of the
database; `scheduler.py` composes them.
"""
