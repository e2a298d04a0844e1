"""The scheduler process: who leads, and how duties run while it leads.

`leader.py` holds the lease; `duty.py` is the shape of one job of upkeep; `scheduler.py` composes them.
"""
