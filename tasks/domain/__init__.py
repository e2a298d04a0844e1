"""The rules of tasks as pure functions of values: states, order, retries, leases, outcomes, submission.

Imports the standard library, `dtq_site.foundation` and nothing else; `now` and randomness are arguments. Start with
`states.py`, the table that every move of a task obeys.
"""
