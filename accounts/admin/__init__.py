"""Users, teams, worker tokens and the audit log in the Django admin. Whatever is edited here is written by the modules that own
the rows. `accounts/admin_site.py` has the door and the first page, `accounts/admin_pages.py` what all pages have in common.
"""

from accounts.admin import audit, users, worker_tokens

__all__ = ["audit", "users", "worker_tokens"]
