"""What tests stand on: servers of their own, real processes that never outlive a test, and waiting with a deadline.

May import anything. Start reading at `servers.py`, which runs before Django's settings are read.
"""
