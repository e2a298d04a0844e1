"""The rows of accounts. `registration.py` writes users and teams, `tokens.py` revoked sessions, `worker_tokens.py` the tokens
of workers, `audit.py` the audit log.

Ids of users and teams are random (UUIDv4), unlike those of tasks: the rows are few, so order in the index gains nothing,
and an id that stands in tokens and answers should not tell when its account was made.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils.crypto import salted_hmac

from accounts.identity import Identity
from accounts.roles import Role
from dtq_site.foundation.database import KeyField


class Team(models.Model):
    """The tenant: users, tasks, schedules and worker tokens belong to one. Its name is compared byte by byte."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    name = KeyField(max_length=254, unique=True)
    created_at = models.DateTimeField(editable=False)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class UserManager(BaseUserManager["User"]):
    """What Django's own commands and backends ask for; `registration.py`, which imports this module, writes."""

    def get_by_natural_key(self, username: str | None) -> User:
        """The user of that name in any case; raises User.DoesNotExist."""
        return self.get(username=(username or "").lower())

    def create_user(self, username: str, email: str, password: str, **fields: Any) -> User:
        """Create a user, of role USER unless `role` says otherwise, in a team of its own unless `team` is given."""
        from accounts import registration

        return registration.create_user(username=username, email=email, password=password, **fields)

    def create_superuser(self, username: str, email: str, password: str, **fields: Any) -> User:
        """Create a user of role ADMIN, which is all that a superuser is here."""
        return self.create_user(username, email, password, role=Role.ADMIN, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    """An account of a person or a worker. Both its names are kept in lower case, and so are unique in any case.

    `token_version` is written into tokens; raising it ends all that were issued before, but for those of `kept_session`:
    whoever changes the password stays signed in.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    username = KeyField(max_length=254, unique=True)
    email = KeyField(max_length=254, unique=True)
    name = models.CharField(max_length=200, blank=True)
    role = models.CharField(max_length=16, choices=[(role.value, role.value) for role in Role], default=Role.USER.value)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="users")
    is_active = models.BooleanField("active", default=True)
    created_at = models.DateTimeField(editable=False)
    token_version = models.PositiveIntegerField(default=0, editable=False)
    kept_session = models.UUIDField(null=True, editable=False)

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ("email",)

    objects = UserManager()

    class Meta:
        ordering = ("username",)

    @property
    def identity(self) -> Identity:
        """Who this is, as values."""
        return Identity(self.id, self.username, Role(self.role), self.team_id)

    @property
    def is_staff(self) -> bool:
        """Whether the Django admin lets this user in."""
        return self.role == Role.ADMIN

    @property
    def is_superuser(self) -> bool:
        """Whether Django grants this user every permission; a property in place of the column of PermissionsMixin."""
        return self.role == Role.ADMIN

    def set_password(self, raw_password: str | None) -> None:
        """Change the password of this object, as Django's pages and commands do, so that saving it ends all tokens."""
        super().set_password(raw_password)
        self.token_version += 1
        self.kept_session = None

    def set_unusable_password(self) -> None:
        """Take the password away, with the same effect on tokens."""
        self.set_password(None)

    def get_session_auth_hash(self) -> str:
        """What a session of the admin must bear, so that it ends with the account's tokens."""
        return salted_hmac("accounts.session", f"{self.password}:{self.token_version}", algorithm="sha256").hexdigest()

    def __str__(self) -> str:
        return self.username

    def get_full_name(self) -> str:
        """The name for people."""
        return self.name or self.username


class RevokedSession(models.Model):
    """A session that was ended before its tokens expired. `expires_at` is when the last of them is worthless anyway."""

    session_id = models.UUIDField(primary_key=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return str(self.session_id)


class WorkerToken(models.Model):
    """A worker's key to the API, kept as the SHA-256 digest of 256 random bits. Its rights are those of its account."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    name = models.CharField(max_length=200)
    account = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64, unique=True)
    queues = models.JSONField(help_text="the queues that it may serve; an empty list is all of them")
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True, help_text="to the minute")

    class Meta:
        ordering = ("-issued_at", "id")

    def __str__(self) -> str:
        return self.name


class AuditEntry(models.Model):
    """What an operator did. It has names and ids as they were then, and refers to no row, for rows may go."""

    at = models.DateTimeField(editable=False)
    actor_id = models.UUIDField(null=True, editable=False)
    actor = models.CharField(max_length=254, blank=True, editable=False)
    action = models.CharField(max_length=64, editable=False)
    request_id = models.CharField(
        max_length=64,
        blank=True,
        default="",
        editable=False,
        help_text="of the request by which it was done, if it was one",
    )
    target = models.CharField(max_length=300, editable=False)
    facts = models.JSONField(default=dict, encoder=DjangoJSONEncoder, editable=False)

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "audit entries"
        indexes = [  # ids grow with time, so each of them has the newest first
            models.Index(fields=["actor", "id"], name="audit_of_actor"),
            models.Index(fields=["action", "id"], name="audit_of_action"),
            models.Index(fields=["target", "id"], name="audit_of_target"),
            models.Index(fields=["at"], name="audit_at"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target}"
