"""The process screen of development: API, worker and scheduler under one parent, with one log, restarted on changes.

`session.py` is the parent's loop; `child.py` is one process, `changes.py` says whom a changed file concerns, `screen.py`
writes the common log, `preflight.py` refuses a start that cannot succeed. Knows no app. Used by `manage.py dev` only.
"""
