"""The rules of calendars and misfires as pure functions: no Django, no Redis, `now` is an argument.

Start with `cron.py`.
"""
