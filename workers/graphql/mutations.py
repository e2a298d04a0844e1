"""The operations for workers. Each may be repeated when its answer was lost: nothing comes to count twice."""

from __future__ import annotations

from workers.graphql.holding import HoldingMutation
from workers.graphql.locking import LockingMutation
from workers.graphql.presence import PresenceMutation
from workers.graphql.telling import TellingMutation


class WorkersMutation(PresenceMutation, HoldingMutation, TellingMutation, LockingMutation):
    """The fields of Mutation that workers answer."""
