"""The commands of the project as a whole, for `manage.py`."""
