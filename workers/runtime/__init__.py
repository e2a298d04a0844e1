"""What a worker process is made of: claim loop, executor, lease keeper, reporter, heartbeat, one service each.

No ORM and no Redis here: everything outside goes through a transport, which is what makes a worker without a database
possible. `worker.py` composes the parts; `supervisor.py` keeps the processes alive.
"""
