"""What `@task(…)` says about a handler beside its code; workers announce it, creation falls back on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dtq_site.foundation.errors import BadInput
from tasks.domain.limits import KEY_NAMES, check_cap
from tasks.domain.locks import LOCK_NAMES
from tasks.domain.rates import read_rate
from tasks.domain.submission import (
    NAME_PATTERN,
    Defaults,
    check_max_retries,
    check_priority,
    check_queue,
    check_timeout,
    check_when_lost,
)
from tasks.handling.errors import BadDeclaration

_CHECKS: dict[str, Callable[[Any], Any]] = {
    "queue": check_queue,
    "priority": check_priority,
    "max_retries": check_max_retries,
    "timeout_seconds": check_timeout,
    "lock": LOCK_NAMES.check_template,
    "when_lost": check_when_lost,
    "max_running": lambda value: check_cap(value, "maxRunning"),
    "per": KEY_NAMES.check_template,
}


@dataclass(frozen=True)
class Declaration(Defaults):
    """What a task gets where its creator is silent; None leaves the choice to the settings.

    Holds allowed values only: raises BadDeclaration, naming the value. A priority that is a level's name becomes its
    number.
    """

    queue: str | None = None
    priority: int | None = None
    max_retries: int | None = None
    timeout_seconds: float | None = None
    lock: str | None = None
    when_lost: str | None = None
    rate: str | None = None
    burst: int | None = None
    max_running: int | None = None
    per: str | None = None

    def __post_init__(self) -> None:
        _refuse_type("queue", self.queue, str)
        _refuse_type("maxRetries", self.max_retries, int)
        _refuse_type("timeoutSeconds", self.timeout_seconds, int, float)
        _refuse_type("lock", self.lock, str)
        _refuse_type("whenLost", self.when_lost, str)
        _refuse_type("rate", self.rate, str)
        _refuse_type("burst", self.burst, int)
        _refuse_type("maxRunning", self.max_running, int)
        _refuse_type("per", self.per, str)
        for field, check in _CHECKS.items():
            value = getattr(self, field)
            if value is not None:
                object.__setattr__(self, field, _checked(check, value))
        self._check_rate()

    def _check_rate(self) -> None:
        if self.rate is not None:
            rate = self.rate
            object.__setattr__(self, "rate", str(_checked(lambda burst: read_rate(rate, burst, "rate"), self.burst)))
        elif self.burst is not None:
            raise BadDeclaration("burst says nothing without a rate; give one, or leave burst out.", field="burst")

    def to_json(self) -> dict[str, Any]:
        """The declared values as a JSON object, without those that were left out."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, value: Any) -> Declaration:
        """Read what `to_json` wrote, from a newer version too: keys that are not known are passed over.

        Raises BadDeclaration.
        """
        if not isinstance(value, Mapping):
            raise BadDeclaration(f"A declaration is a JSON object, not {value!r}.")
        return cls(**{key: item for key, item in value.items() if key in cls.__dataclass_fields__})


def check_name(name: object) -> str:
    """The handler's name, if it may be one. Raises BadDeclaration."""
    if not isinstance(name, str):
        raise BadDeclaration(f'A handler needs a name: write @task("send-email"), not @task({name!r}).', field="name")
    if not NAME_PATTERN.fullmatch(name):
        raise BadDeclaration(
            f"{name!r} is no handler name: use letters, digits and . _ : - (at most 100), "
            "beginning with a letter or digit.",
            field="name",
        )
    return name


def _refuse_type(field: str, value: Any, *kinds: type) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
        wanted = {str: "text", int: "a whole number", float: "a number"}[kinds[-1]]
        raise BadDeclaration(f"{field} must be {wanted}, not {value!r}.", field=field)


def _checked(check: Callable[[Any], Any], value: Any) -> Any:
    try:
        return check(value)
    except BadInput as error:
        raise BadDeclaration(error.message, field=error.field) from None
