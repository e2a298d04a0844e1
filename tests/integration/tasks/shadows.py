"""What has to be true of tasks, and their rows held against it after every step of a machine."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime

from hypothesis.stateful import invariant

from dtq_site.foundation.clock import milliseconds
from tasks.domain.lease import Lease
from tasks.domain.states import TERMINAL, Hold, TaskStatus
from tasks.models import Task
from tests.integration.tasks.machines import UndoneMachine


@dataclass
class Shadow:
    """What has to be true of one task."""

    pk: uuid.UUID
    token: int = 0
    attempts: int = 0
    version: int = 0
    live_until: datetime | None = None
    """Until when somebody may be running it: the present holder, or one that has not heard of a cancellation."""
    last_holder: Lease | None = None
    """Who may settle it: the holder, or the last one while nobody has claimed since its lease was lost."""
    begun: bool = False
    settled: dict[int, int] = field(default_factory=dict)


class Shadows(UndoneMachine):
    """The shadow of each task. What can happen to them is said by a subclass."""

    def __init__(self) -> None:
        super().__init__()
        self.shadows: list[Shadow] = []

    # --- what is always true ---

    @invariant()
    def rows_agree_with_their_shadows(self) -> None:
        for shadow in self.shadows:
            task = self.row(shadow.pk)
            assert (task.fencing_token, task.attempts) == (shadow.token, shadow.attempts)
            assert all(count == 1 for count in shadow.settled.values())
            assert task.settled_token == self.last_settled(shadow)
            assert task.version >= shadow.version
            assert 0 <= task.attempts - task.earlier_attempts <= task.max_retries + 1
            shadow.version = task.version

    @invariant()
    def the_columns_of_a_row_agree_with_its_state(self) -> None:
        for task in self.rows().values():
            leased = task.lease_expires_at is not None
            assert (task.completed_at is not None) == (task.status in TERMINAL)
            assert (task.queued_at is not None) >= (task.status in (TaskStatus.QUEUED, TaskStatus.PROCESSING))
            assert (task.lease_owner is not None) == leased
            assert leased <= (task.claim_id is not None)
            match task.status:
                case TaskStatus.PENDING:
                    assert task.hold in (Hold.DUE, Hold.BACKOFF) and task.queued_at is None
                    assert task.ready_ms == milliseconds(task.scheduled_at)
                case TaskStatus.QUEUED:
                    assert task.hold == Hold.NONE and not leased
                case TaskStatus.PROCESSING:
                    assert task.hold == Hold.NONE and leased and task.started_at is not None
                case _:
                    assert task.hold == Hold.NONE
                    assert task.status == TaskStatus.CANCELLED or (task.claim_id is None and not task.begun)

    # --- looking ---

    def rows(self) -> dict[uuid.UUID, Task]:
        return Task.objects.in_bulk([shadow.pk for shadow in self.shadows])

    def row(self, pk: uuid.UUID) -> Task:
        return Task.objects.get(pk=pk)

    def shadow(self, pk: uuid.UUID) -> Shadow:
        return next(shadow for shadow in self.shadows if shadow.pk == pk)

    def holds(self, lease: Lease) -> bool:
        return (
            self.shadow(lease.task_id).last_holder == lease and self.row(lease.task_id).status == TaskStatus.PROCESSING
        )

    @staticmethod
    def last_settled(shadow: Shadow) -> int:
        return max(shadow.settled, default=0)
