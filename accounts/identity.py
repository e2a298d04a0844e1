"""Who is asking, as the rest of the project sees it: values, no row."""

from dataclasses import dataclass
from uuid import UUID

from accounts.roles import Role


@dataclass(frozen=True)
class Identity:
    """An account whose token was valid a moment ago; role and team are those of its row at that time."""

    user_id: UUID
    username: str
    role: Role
    team_id: UUID

    @property
    def is_admin(self) -> bool:
        """Whether this account may do everything, in every team."""
        return self.role == Role.ADMIN
