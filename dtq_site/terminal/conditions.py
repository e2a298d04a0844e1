"""Which tasks a command means: the conditions of the API's TaskFilter, as options."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Mapping
from typing import Any

from accounts.models import Team
from dtq_site.foundation.errors import BadInput
from dtq_site.terminal.edge import moment, uuid_of
from tasks.domain.priority import parse_priority
from tasks.domain.states import TaskStatus
from tasks.filters import TaskFilter
from tasks.graphql.inputs import read_filter

_FIELDS = ("status", "name", "queue", "priority", "created_after", "created_before", "search", "error")
_IDS = ("schedule", "worker")


def add_conditions(parser: ArgumentParser) -> None:
    """Declare them; a task is meant if it meets all that are given."""
    group = parser.add_argument_group("which tasks", "those that meet every condition that is given")
    group.add_argument("--status", action="append", type=_status, help="in this state; repeat it for several")
    group.add_argument("--name", help="for this handler")
    group.add_argument("--queue", help="of this queue")
    group.add_argument("--priority", type=_priority, help="of exactly this priority: a number, or a level's name")
    group.add_argument("--team", metavar="NAME", help="of this team; of all teams, if left out")
    group.add_argument("--schedule", metavar="ID", help="that this schedule has made")
    group.add_argument("--worker", metavar="ID", help="that this worker runs now")
    group.add_argument("--created-after", type=moment, metavar="MOMENT", help="created at this moment or later")
    group.add_argument("--created-before", type=moment, metavar="MOMENT", help="created before this moment")
    group.add_argument("--search", metavar="TEXT", help="with this text in name, title or description, or in the id")
    group.add_argument("--error", metavar="TEXT", help="with this text in their error")


def read_conditions(options: Mapping[str, Any]) -> TaskFilter:
    """The filter that the options mean. Raises BadInput."""
    said = {field: options[field] for field in _FIELDS}
    said |= {f"{what}_id": str(uuid_of(options[what], what)) for what in _IDS if options[what] is not None}
    if options["team"] is not None:
        said["team_id"] = str(_team_id(options["team"]))
    return read_filter(said)


def _team_id(name: str) -> Any:
    team = Team.objects.filter(name=name).first()
    if team is None:
        raise BadInput(f"There is no team named {name!r}.")
    return team.pk


def _status(text: str) -> TaskStatus:
    try:
        return TaskStatus(text.upper().replace("-", "_"))
    except ValueError:
        states = ", ".join(state.lower().replace("_", "-") for state in TaskStatus)
        raise ArgumentTypeError(f"{text!r} is no state: write one of {states}") from None


def _priority(text: str) -> int:
    try:
        return parse_priority(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
