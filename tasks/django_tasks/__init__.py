"""Django's own interface for background work, `django.tasks`, on DTQ: its tasks are DTQ's, run by DTQ's workers.

`tasks/backend.py` is the entry that the setting TASKS names. May import the rest of `tasks`; nothing below imports it. Start
at `declared.py`, then `results.py`; docs/DJANGO-TASKS.md says how it is used.
"""
