"""What workers send, and its way to the values that `workers.remote` takes. Every size has a limit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import graphene

from accounts.credentials import plain_text
from accounts.identity import Identity
from dtq_site.foundation.errors import BadInput, NotFound
from dtq_site.foundation.ids import parse_uuid
from dtq_site.foundation.scalars import JSON
from tasks.audit import LogLine
from tasks.domain.lease import Lease
from tasks.domain.outcome import Outcome
from tasks.domain.outcome import OutcomeKind as Kind
from tasks.domain.submission import FARTHEST, check_queue
from tasks.graphql.inputs import NewTaskFields
from tasks.graphql.scalars import Priority
from tasks.graphql.types import WhenLost
from tasks.handling.declaration import Declaration, check_name
from workers import remote
from workers.domain.card import WorkerCard

MOST_ITEMS = 1000
"""How many leases, outcomes, log lines, handlers or queues one argument may name."""

MOST_CLAIMED = 100
LONGEST_WAIT_SECONDS = 60
SHORTEST_LEASE_SECONDS = 3
MOST_CONCURRENT = 100_000
_LARGEST_PID = 2**31 - 1

_KINDS = {
    None: "How an attempt ended.",
    Kind.COMPLETED: "It has a result.",
    Kind.FAILED: "It failed; the task is tried again if attempts are left.",
    Kind.DISCARDED: "It failed, and trying again would not help.",
}
OutcomeKind = graphene.Enum.from_enum(Kind, description=_KINDS.__getitem__)


class DeclarationInput(graphene.InputObjectType):
    """What tasks for a handler get where their creator is silent."""

    name = graphene.String(required=True, description="The handler's name.")
    queue = graphene.String(description="The queue.")
    priority = Priority(description="The priority.")
    max_retries = graphene.Int(description="How many attempts may follow a failed first one, from 0 to 1000.")
    timeout_seconds = graphene.Float(description="The time limit of one attempt.")
    lock = graphene.String(description="The lock's name, in which `{key}` stands for a value of the payload.")
    when_lost = WhenLost(description="What becomes of a task when the lease of a worker that is cut off runs out.")


class WorkerInput(graphene.InputObjectType):
    """What a worker says of itself."""

    id = graphene.ID(
        description="A UUID that the worker has made up, the same one when it repeats the request; made by the server, if "
        "left out."
    )
    name = graphene.String(description="A name for people; the account's, if left out.")
    hostname = graphene.String(default_value="", description="The machine that it runs on.")
    pid = graphene.Int(default_value=0, description="Its process there.")
    queues = graphene.List(
        graphene.NonNull(graphene.String),
        default_value=[],
        description="The queues that it serves; none is all of them, or all that its token names.",
    )
    handlers = graphene.List(
        graphene.NonNull(graphene.String),
        default_value=[],
        description="The names of the handlers that it knows; it is given tasks for these only.",
    )
    declarations = graphene.List(
        graphene.NonNull(DeclarationInput),
        default_value=[],
        description="What those handlers declare, where they do; a name that stands here needs not stand among `handlers`.",
    )
    concurrency = graphene.Int(default_value=1, description="How many tasks it runs at once.")
    version = graphene.String(default_value="", description="Its version.")


class ChildTaskInput(NewTaskFields, graphene.InputObjectType):
    """A new task on behalf of a running one. What is left out comes from the handler's declaration, else from the settings."""

    key = graphene.String(description="What others of the same call call it, and by which they find its result.")
    depends_on = graphene.List(
        graphene.NonNull(graphene.String),
        description="The keys of tasks of the same call, or ids of others, that must be COMPLETED before it is ready.",
    )


class LeaseInput(graphene.InputObjectType):
    """What proves to hold a task: all three as the claim answered them."""

    task_id = graphene.ID(required=True, description="The task.")
    fencing_token = graphene.Int(required=True, description="The token of the claim.")
    claim_id = graphene.ID(required=True, description="The id of the claim.")


class OutcomeInput(LeaseInput):
    """What one attempt ended in."""

    kind = graphene.Field(OutcomeKind, required=True, description="How it ended.")
    result = JSON(description="What the handler returned, if it is COMPLETED; at most 256 KiB by default.")
    error = graphene.String(
        description="Why it is not COMPLETED; the middle of a text above 8,000 characters is left out."
    )
    run_seconds = graphene.Float(default_value=0.0, description="How long the attempt took.")
    retry_delay_seconds = graphene.Float(
        description="If it is FAILED: the wait before the next attempt, in place of the backoff."
    )


class LogLineInput(graphene.InputObjectType):
    """A line that a handler wrote."""

    sequence = graphene.Int(required=True, description="Counts the lines of one attempt; a line is kept once.")
    message = graphene.String(required=True, description="The text; what goes beyond 4,000 characters is cut off.")
    level = graphene.String(default_value="info", description="debug, info, warning or error.")


class ProgressInput(LeaseInput):
    """What a running attempt tells."""

    attempt = graphene.Int(required=True, description="The attempt's number, as the claim answered it.")
    progress = graphene.Int(description="How far it is, in per cent.")
    logs = graphene.List(graphene.NonNull(LogLineInput), default_value=[], description="Lines for the task's log.")


def limited(items: Sequence[Any], field: str, most: int = MOST_ITEMS) -> Sequence[Any]:
    """The items, if they are no more than allowed. Raises BadInput."""
    if len(items) > most:
        raise BadInput(f"{len(items):,} items; at most {most:,} are allowed at once.", field=field)
    return items


def within(value: int, field: str, least: int, most: int) -> int:
    """The number, if it is within bounds. Raises BadInput."""
    if not least <= value <= most:
        raise BadInput(f"It must be from {least:,} to {most:,}, not {value:,}.", field=field)
    return value


def read_lease_length(seconds: int | None) -> timedelta | None:
    """The length of a lease. Raises BadInput."""
    if seconds is None:
        return None
    if seconds < SHORTEST_LEASE_SECONDS:
        raise BadInput(f"A lease of less than {SHORTEST_LEASE_SECONDS} seconds is of no use.", field="leaseSeconds")
    return timedelta(seconds=seconds)


def read_uuid(text: str, field: str) -> UUID:
    """A UUID that the client has made up. Raises BadInput."""
    found = parse_uuid(text)
    if found is None:
        raise BadInput("Make up a UUID, such as 0190f0a2-7b1e-7cc3-98c4-dc0c0c07398f.", field=field)
    return found


def read_lease(input: Mapping[str, Any]) -> Lease:
    """The lease that it names; ids that are none name a lease that nobody holds."""
    nobody = UUID(int=0)
    return Lease(
        parse_uuid(input["task_id"]) or nobody, input["fencing_token"], parse_uuid(input["claim_id"]) or nobody
    )


def read_leases(inputs: Sequence[Mapping[str, Any]], field: str = "leases") -> list[Lease]:
    """The leases that they name, in order. Raises BadInput."""
    return [read_lease(input) for input in limited(inputs, field)]


def read_outcomes(inputs: Sequence[Mapping[str, Any]]) -> list[Outcome]:
    """The outcomes that they tell of, in order. Raises BadInput."""
    return [_read_outcome(input, f"outcomes[{index}]") for index, input in enumerate(limited(inputs, "outcomes"))]


def _read_outcome(input: Mapping[str, Any], where: str) -> Outcome:
    delay, longest = input.get("retry_delay_seconds"), FARTHEST.total_seconds()
    if delay is not None and not 0 <= delay <= longest:
        raise BadInput(f"It must be from 0 to {longest:,.0f}.", field=f"{where}.retryDelaySeconds")
    run_seconds = input.get("run_seconds") or 0.0
    if not 0 <= run_seconds < math.inf:
        raise BadInput("A run takes no time or some, not less.", field=f"{where}.runSeconds")
    kind, result = Kind(input["kind"]), input.get("result")
    return Outcome(
        read_lease(input),
        kind,
        run_seconds,
        result=result if kind is Kind.COMPLETED else None,
        error=input.get("error") or "",
        retry_delay_seconds=delay if kind is Kind.FAILED else None,
    )


def read_progress(
    inputs: Sequence[Mapping[str, Any]],
) -> tuple[dict[Lease, list[LogLine]], dict[Lease, int]]:
    """The lines and the progress that they tell of, by lease. Raises BadInput."""
    lines: dict[Lease, list[LogLine]] = {}
    progress: dict[Lease, int] = {}
    limited([line for input in inputs for line in input.get("logs") or ()], "records")
    for index, input in enumerate(limited(inputs, "records")):
        lease, where = read_lease(input), f"records[{index}]"
        attempt = within(input["attempt"], f"{where}.attempt", 1, _LARGEST_PID)
        for line in input.get("logs") or ():
            sequence = within(line["sequence"], f"{where}.logs", 0, _LARGEST_PID)
            said = LogLine(
                lease.task_id, lease.fencing_token, sequence, attempt, line.get("level") or "info", line["message"]
            )
            lines.setdefault(lease, []).append(said)
        if input.get("progress") is not None:
            progress[lease] = within(input["progress"], f"{where}.progress", 0, 100)
    return lines, progress


def read_card(input: Mapping[str, Any], identity: Identity) -> WorkerCard:
    """What a WorkerInput says. Raises BadInput, or NotFound for an id that is none."""
    given = {field: value for field, value in input.items() if value is not None}
    worker_id = parse_uuid(given["id"]) if "id" in given else uuid4()
    if worker_id is None:
        raise NotFound("A worker's id is a UUID.", field="id")
    return WorkerCard(
        id=worker_id,
        name=plain_text(given.get("name", ""), "name", longest=200) or identity.username,
        hostname=plain_text(given.get("hostname", ""), "hostname", longest=255),
        pid=within(given.get("pid", 0), "pid", 0, _LARGEST_PID),
        queues=tuple(sorted({check_queue(name) for name in limited(given.get("queues", ()), "queues")})),
        handlers=_read_handlers(given),
        concurrency=within(given.get("concurrency", 1), "concurrency", 1, MOST_CONCURRENT),
        transport=remote.TRANSPORT,
        version=plain_text(given.get("version", ""), "version", longest=40),
        team_id=identity.team_id,
    )


def _read_handlers(given: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    names = limited(given.get("handlers", ()), "handlers")
    declared = {each["name"]: each for each in limited(given.get("declarations", ()), "declarations")}
    return {check_name(name): _read_declaration(declared.get(name, {})) for name in sorted({*names, *declared})}


def _read_declaration(said: Mapping[str, Any]) -> Mapping[str, Any]:
    return Declaration(**{field: value for field, value in said.items() if field != "name"}).to_json()
