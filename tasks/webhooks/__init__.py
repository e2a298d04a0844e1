"""Webhooks: what becomes of a team's tasks is told to addresses that the team has named, signed, at least once.

A move writes an event beside itself (`outbox.py`), the scheduler makes a delivery and a task of it for each subscription
(`deliveries.py`), and a worker sends it (`sending.py`). `subscriptions.py` keeps who wants what, `changes.py` is for people, and
`addresses.py` says where messages may go. The rules are in `tasks/domain/webhooks.py` and `tasks/domain/signatures.py`.
"""
