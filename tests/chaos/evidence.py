"""What a run leaves behind, as values: what was asked for, what was executed, and what the rows say at the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

WORKER_LOST = "worker lost"
"""How a task ends that loses too many leases: as a dead letter with an error that begins with these words."""

Verdicts = Iterator[str | None]
"""What a rule yields for each fact that it has judged: None, or what is wrong."""


@dataclass(frozen=True)
class Asked:
    """What the client wanted under a number: `not_before` is the earliest of the due times that it ever named."""

    number: int
    key: str | None
    not_before: float


@dataclass(frozen=True)
class Accepted:
    """A creation that was acknowledged, to the client under a number of its own or to a handler."""

    task: str
    number: int | None = None


@dataclass(frozen=True)
class Sight:
    """A moment at which an execution was seen to go on, and whether it trusted its lease then."""

    at: float
    leased: bool


@dataclass(frozen=True)
class Execution:
    """One run of a handler. `how` it ended is ``returned``, an exception's name, or None if nobody saw its end."""

    task: str
    token: int
    sights: tuple[Sight, ...]
    how: str | None = None
    result: Any = None

    @property
    def started_at(self) -> float:
        """When its handler began."""
        return self.sights[0].at


@dataclass(frozen=True)
class Ending:
    """A remembered end of an attempt that did not complete, as in the rows of attempts; `worker` is the process that had it."""

    task: str
    token: int
    ending: str
    at: float
    worker: str | None = None


@dataclass(frozen=True)
class SeenLease:
    """The end of a lease as the row named it while the run went on."""

    task: str
    token: int
    until: float


@dataclass(frozen=True)
class Exit:
    """The end of a process: its exit code, negative for a signal, what it had written, and whether it has an end of itself."""

    name: str
    code: int
    output: str
    ends: bool


@dataclass(frozen=True)
class Row:
    """A task's row at the end of the run. `number` is the client's, None for the children of handlers."""

    task: str
    name: str
    number: int | None
    key: str | None
    queue: str
    rank: int
    status: str
    attempts: int
    failures: int
    lost_leases: int
    max_retries: int
    result: Any
    error: str
    settled_token: int
    queued_at: float | None
    claimed_at: float | None

    def __str__(self) -> str:
        return f"{self.name} {self.task} (number {self.number})"


@dataclass(frozen=True)
class Promises:
    """The settings that the promises depend on.

    `slots` is how many tasks a process runs at once; `ends` has the state in which tasks of each name end, or WORKER_LOST.
    """

    backoff_seconds: float
    max_lost_leases: int
    slots: int
    ends: Mapping[str, str]


@dataclass(frozen=True)
class Evidence:
    """Everything that the checker judges. `calm` are the stretches of time in which nothing was broken."""

    promises: Promises
    rows: Mapping[str, Row]
    asked: Mapping[int, Asked] = field(default_factory=dict)
    accepted: Sequence[Accepted] = ()
    cancelled: frozenset[str] = frozenset()
    executions: Sequence[Execution] = ()
    endings: Sequence[Ending] = ()
    leases: Sequence[SeenLease] = ()
    exits: Sequence[Exit] = ()
    calm: Sequence[tuple[float, float]] = ()

    @cached_property
    def executions_of(self) -> Mapping[str, list[Execution]]:
        """The executions of each task by token."""
        return _by_task(self.executions)

    @cached_property
    def endings_of(self) -> Mapping[str, list[Ending]]:
        """The remembered endings of each task by token."""
        return _by_task(self.endings)

    @cached_property
    def leased_until(self) -> Mapping[tuple[str, int], float]:
        """The latest end that a row has named for each lease."""
        latest: defaultdict[tuple[str, int], float] = defaultdict(float)
        for lease in self.leases:
            latest[lease.task, lease.token] = max(latest[lease.task, lease.token], lease.until)
        return latest


def _by_task(facts: Iterable[Any]) -> Mapping[str, list[Any]]:
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for fact in sorted(facts, key=lambda fact: fact.token):
        found[fact.task].append(fact)
    return found


def executions(lines: Iterable[Mapping[str, Any]]) -> list[Execution]:
    """The executions that the handlers' journal tells of; a second start under one token is an execution of its own."""
    open_: dict[tuple[str, int], dict[str, Any]] = {}
    found = []
    for line in lines:
        key = (line["task"], line["token"])
        if line["event"] == "start":
            open_[key] = {"task": key[0], "token": key[1], "sights": []}
            found.append(open_[key])
        open_[key]["sights"].append(Sight(line["at"], line["leased"]))
        if line["event"] == "end":
            open_[key] |= {"how": line["how"], "result": line["result"]}
    return [Execution(**{**each, "sights": tuple(each["sights"])}) for each in found]


def enqueued(lines: Iterable[Mapping[str, Any]]) -> list[Accepted]:
    """The creations that handlers were told of."""
    return [Accepted(line["child"]) for line in lines if line["event"] == "accepted"]


def asked(lines: Iterable[Mapping[str, Any]]) -> dict[int, Asked]:
    """What the client's journal says that it asked for, by number."""
    found: dict[int, Asked] = {}
    for line in lines:
        if line["event"] == "asked":
            number, moment = line["number"], line["not_before"]
            earlier = found[number].not_before if number in found else moment
            found[number] = Asked(number, line["key"], min(moment, earlier))
    return found


def acknowledged(lines: Iterable[Mapping[str, Any]]) -> list[Accepted]:
    """The creations that the client was told of."""
    return [Accepted(line["task"], line["number"]) for line in lines if line["event"] == "accepted"]


def cancelled(lines: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The tasks of which the client was told that they are cancelled."""
    return frozenset(line["task"] for line in lines if line["event"] == "cancelled")
