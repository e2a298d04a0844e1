"""Who executes: the workers' presence, the door through which they get tasks, and the runtime that runs them.

May import tasks, accounts and the foundation. `gateway.py` is the only door; the runtime in `runtime/` reaches it through a
transport and touches neither the ORM nor Redis. Start with `runtime/worker.py`.
"""
