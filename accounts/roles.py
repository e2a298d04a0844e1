"""What an account may be. What each role may do stands on the operations, by `accounts.permissions.requires`."""

from enum import StrEnum


class Role(StrEnum):
    """The part that an account plays."""

    ADMIN = "admin"
    USER = "user"
    WORKER = "worker"
    VIEWER = "viewer"
