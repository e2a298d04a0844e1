"""What a worker keeps on its own disk while the server is away: what its attempts ended in, until that has been taken.

No ORM and no Redis here, and no server: `store.py` is one SQLite file, `folder.py` says whose which file is, and `outbox.py`
is what a process has not delivered yet. `runtime/reporter.py` delivers it.
"""
