"""Who is asking, as the rest of the project sees it: values, no row."""

from dataclasses import dataclass
from uuid import UUID

from accounts.roles import Role


@dataclass(frozen=True)
class WorkerGrant:
    """What a worker token allows its account: to serve these queues, all if none is named, and nothing but that."""

    token_id: UUID
    queues: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Identity:
    """An account whose token was valid a moment ago; role and team are those of its row at that time.

    `grant` is what a worker token confines it to; None is no such token. A `user_id` of None is somebody at the server's own
    terminal, who has no account.
    """

    user_id: UUID | None
    username: str
    role: Role
    team_id: UUID
    grant: WorkerGrant | None = None

    @property
    def is_admin(self) -> bool:
        """Whether this account may do everything, in every team."""
        return self.role == Role.ADMIN
