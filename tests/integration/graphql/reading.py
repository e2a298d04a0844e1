"""What is asked of tasks that are read."""

from __future__ import annotations

from accounts.identity import Identity
from tests.integration.graphql.making import data

EVERYTHING = """{
  id name title description queue priority priorityLevel payload status attempts retries maxRetries lostLeases
  timeoutSeconds progress result error idempotencyKey createdAt updatedAt scheduledAt queuedAt startedAt completedAt
  cronExpression isRecurring handlerKnown version
  schedule { id name user { email team { name } } team { name } }
  user { id email team { name } }
  team { id name }
  worker { id name activeTaskCount isOnline }
  logs { message level createdAt attempt }
}"""


def names(arguments: str, identity: Identity) -> list[str]:
    """The names of the tasks that a list with these arguments has."""
    return [task["name"] for task in data(f"{{ tasks{arguments} {{ name }} }}", identity)["tasks"]]
