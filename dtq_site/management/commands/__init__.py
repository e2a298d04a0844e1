"""One module for each `manage.py` command of the roof.

They may import everything. Start reading at `dev.py`.
"""
