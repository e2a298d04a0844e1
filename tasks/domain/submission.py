"""From what a client asks for to a task that can be stored, or to an error that names the field and the remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from dtq_site.foundation import strict_json
from dtq_site.foundation.errors import BadInput, PayloadTooLarge
from tasks.domain import priority as priorities
from tasks.domain import webhooks
from tasks.domain.lease import WhenLost
from tasks.domain.limits import KEY_NAMES
from tasks.domain.locks import LOCK_NAMES
from tasks.domain.states import Hold
from tasks.domain.workflow import OnFailure, Parent

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
QUEUE_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DEFAULT_QUEUE = "default"
MAX_TITLE, MAX_DESCRIPTION, MAX_KEY, MAX_RETRIES = 200, 10_000, 255, 1000
DEFAULT_TIMEOUT_SECONDS, MAX_TIMEOUT_SECONDS = 3600.0, 30 * 86400
FARTHEST = timedelta(days=3660)
RESERVED_KEY_PREFIXES = ("schedule:", webhooks.KEY_PREFIX)


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller asks for; None leaves the choice to the handler's declaration or the settings."""

    name: str | None = None
    title: str | None = None
    description: str | None = None
    payload: Any = field(default_factory=dict)
    priority: int | str | None = None
    queue: str | None = None
    max_retries: int | None = None
    timeout_seconds: float | None = None
    scheduled_at: datetime | None = None
    delay_seconds: float | None = None
    idempotency_key: str | None = None
    depends_on: Sequence[str] | None = None
    on_dependency_failure: str | None = None
    when_lost: str | None = None
    key: str | None = None
    """By which others of the same call mean it; see `domain/workflow.py`."""


@dataclass(frozen=True)
class Defaults:
    """What a request gets where it is silent, and what limits its handler. `lock` and `per` are templates."""

    queue: str | None
    priority: int | str | None
    max_retries: int | None
    timeout_seconds: float | None
    lock: str | None = None
    when_lost: str | None = None
    rate: str | None = None
    burst: int | None = None
    max_running: int | None = None
    per: str | None = None

    def over(self, other: Defaults) -> Defaults:
        """These defaults, completed by `other` where they are silent."""
        mine, others = vars(self), vars(other)
        return Defaults(**{key: others[key] if value is None else value for key, value in mine.items()})


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A checked and complete description of a task, still without an id."""

    name: str
    title: str
    description: str
    payload: dict[str, Any]
    queue: str
    priority: int
    max_retries: int
    timeout_seconds: float
    scheduled_at: datetime | None = None
    idempotency_key: str | None = None
    lock: str | None = None
    when_lost: WhenLost = WhenLost.REASSIGN
    limit_key: str | None = None


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to be created: `spec` with its owner and its place in the scheme of things."""

    spec: TaskSpec
    team_id: UUID
    user_id: UUID | None
    hold: Hold = Hold.NONE
    schedule_id: UUID | None = None
    parents: tuple[Parent, ...] = ()
    on_failure: OnFailure = OnFailure.CANCEL


def resolve_name(request: Request) -> str:
    """The handler's name: `name`, else the payload's `type`, else the title as a slug. Raises BadInput."""
    if request.name is not None:
        return check_handler_name(request.name)
    chosen = request.payload.get("type") if isinstance(request.payload, Mapping) else None
    if chosen is not None:
        if not isinstance(chosen, str):
            raise BadInput(f"payload.type chooses the handler and must be text, not {chosen!r}.", field="payload.type")
        return _matched(chosen.strip(), NAME_PATTERN, "payload.type", "letters, digits and . _ : - (at most 100)")
    slug = re.sub(r"[^a-z0-9]+", "-", (request.title or "").lower()).strip("-")[:100].rstrip("-")
    if not slug:
        raise BadInput("Say which handler is to run: give name, payload.type or a title.", field="name")
    return slug


def make_spec(request: Request, name: str, defaults: Defaults, now: datetime, max_json_bytes: int) -> TaskSpec:
    """Check `request` and complete it by `defaults`. Raises BadInput or PayloadTooLarge, naming the field."""
    given = Defaults(
        request.queue, request.priority, request.max_retries, request.timeout_seconds, when_lost=request.when_lost
    ).over(defaults)
    payload = check_payload(request.payload, max_json_bytes)
    return TaskSpec(
        name=name,
        title=_text(request.title, MAX_TITLE, "title") or name,
        description=_text(request.description, MAX_DESCRIPTION, "description"),
        payload=payload,
        queue=check_queue(DEFAULT_QUEUE if given.queue is None else given.queue),
        priority=check_priority(priorities.DEFAULT if given.priority is None else given.priority),
        max_retries=check_max_retries(given.max_retries or 0),
        timeout_seconds=check_timeout(
            DEFAULT_TIMEOUT_SECONDS if given.timeout_seconds is None else given.timeout_seconds
        ),
        scheduled_at=check_due(request.scheduled_at, request.delay_seconds, now),
        idempotency_key=_check_key(request.idempotency_key),
        lock=None if given.lock is None else LOCK_NAMES.fill(given.lock, payload),
        when_lost=WhenLost.REASSIGN if given.when_lost is None else check_when_lost(given.when_lost),
        limit_key=None if given.per is None else KEY_NAMES.fill(given.per, payload),
    )


def check_payload(payload: Any, max_json_bytes: int) -> dict[str, Any]:
    """The payload, if it is an object of allowed size; None is an empty one."""
    if payload is None:
        return {}
    if not isinstance(payload, Mapping):
        raise BadInput("The payload must be an object: its keys are the handler's arguments.", field="payload")
    try:
        strict_json.encode(payload, max_bytes=max_json_bytes)
    except strict_json.TooLarge as error:
        raise PayloadTooLarge(
            f"The payload is too large: {error}. Store the data elsewhere and pass its address.", field="payload"
        ) from None
    except strict_json.NotJSON as error:
        raise BadInput(f"The payload cannot be written as JSON: {error}.", field="payload") from None
    return dict(payload)


def check_handler_name(name: str) -> str:
    """The handler's name, if it may be one."""
    return _matched(name.strip(), NAME_PATTERN, "name", "letters, digits and . _ : - (at most 100)")


def check_queue(queue: str) -> str:
    """The queue's name, if it may be one."""
    return _matched(queue.strip(), QUEUE_PATTERN, "queue", "letters, digits and . _ - (at most 64)")


def check_priority(priority: object) -> int:
    """The priority as an integer."""
    try:
        return priorities.parse_priority(priority)
    except ValueError as error:
        raise BadInput(f"{error}.", field="priority") from None


def check_max_retries(value: int) -> int:
    """The number of retries, if it is within bounds."""
    if not 0 <= value <= MAX_RETRIES:
        raise BadInput(f"maxRetries must be from 0 to {MAX_RETRIES}, not {value}.", field="maxRetries")
    return value


def check_timeout(seconds: float) -> float:
    """The time limit in seconds, if it is within bounds."""
    if not 0 < seconds <= MAX_TIMEOUT_SECONDS:
        raise BadInput(f"timeoutSeconds must be above 0 and at most {MAX_TIMEOUT_SECONDS}.", field="timeoutSeconds")
    return seconds


def check_when_lost(value: str) -> WhenLost:
    """What becomes of the task when the lease of a worker that is cut off runs out; written in any case."""
    try:
        return WhenLost(value.upper())
    except ValueError:
        raise BadInput(f"whenLost is one of {', '.join(WhenLost)}, not {value[:120]!r}.", field="whenLost") from None


def check_due(scheduled_at: datetime | None, delay_seconds: float | None, now: datetime) -> datetime | None:
    """The moment before which the task must not run, or None if it may run at once. A past moment is at once."""
    if scheduled_at is not None and delay_seconds is not None:
        raise BadInput("Give scheduledAt or delaySeconds, not both.", field="delaySeconds")
    where = "scheduledAt" if scheduled_at is not None else "delaySeconds"
    if delay_seconds is not None:
        if not 0 <= delay_seconds <= FARTHEST.total_seconds():
            raise BadInput(f"delaySeconds must be from 0 to {FARTHEST.total_seconds():.0f}.", field=where)
        scheduled_at = now + timedelta(seconds=delay_seconds)
    if scheduled_at is None:
        return None
    try:
        due = scheduled_at.astimezone(UTC) if scheduled_at.tzinfo else scheduled_at.replace(tzinfo=UTC)
    except OverflowError:
        raise BadInput("scheduledAt is outside of the calendar that is reckoned with.", field=where) from None
    if due > now + FARTHEST:
        raise BadInput(f"A task can be scheduled at most {FARTHEST.days} days ahead.", field=where)
    return due


def _check_key(key: str | None) -> str | None:
    if key is None:
        return None
    if not 0 < len(key) <= MAX_KEY:
        raise BadInput(f"idempotencyKey must have 1 to {MAX_KEY} characters.", field="idempotencyKey")
    for prefix in RESERVED_KEY_PREFIXES:
        if key.startswith(prefix):
            raise BadInput(f"Keys that start with {prefix!r} are reserved.", field="idempotencyKey")
    return _storable(key, "idempotencyKey")


def _matched(text: str, pattern: re.Pattern[str], where: str, allowed: str) -> str:
    if not pattern.fullmatch(text):
        raise BadInput(
            f"{text[:120]!r} is no valid name: use {allowed}, beginning with a letter or digit.", field=where
        )
    return text


def _text(value: str | None, limit: int, where: str) -> str:
    if value is not None and len(value) > limit:
        raise BadInput(f"{where} has {len(value):,} characters; at most {limit:,} are allowed.", field=where)
    text = _storable(value or "", where)
    return text.strip() if where == "title" else text


def _storable(text: str, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadInput(f"{where} contains half of a surrogate pair, which is no character.", field=where) from None
    if "\0" in text:
        raise BadInput(f"{where} contains the character NUL; remove it.", field=where)
    return text
