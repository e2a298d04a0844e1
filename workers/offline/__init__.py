"""What a worker keeps on its own disk: what its attempts ended in, until that has been taken, and what a remote one holds.

No ORM and no Redis here, and no server: `store.py` is one SQLite file, `rows.py` its rows, and `folder.py` says whose which file
is. `outbox.py` is what a process has not delivered yet, which `runtime/reporter.py` does; `journal.py` what a remote one holds.
"""
