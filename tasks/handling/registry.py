"""The handlers of this process, known by name, and the decorator that makes them.

A handler stays the plain function that it was: calling it runs it here and now; `.enqueue` makes a task of it.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Generic, ParamSpec, TypeVar

from dtq_site.foundation.errors import BadInput
from tasks.domain.limits import KEY_NAMES
from tasks.domain.locks import LOCK_NAMES
from tasks.handling import port
from tasks.handling.declaration import Declaration, check_name
from tasks.handling.errors import BadDeclaration, PayloadMismatch
from tasks.handling.port import EnqueueRequest
from tasks.handling.signature import PayloadSignature
from tasks.handling.workflow import Step, Workflow

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_TEMPLATES = {"lock": LOCK_NAMES, "per": KEY_NAMES}


class Enqueuer:
    """A handler's name with options: what `.options(…)` returns. It can be kept and used many times."""

    def __init__(self, handler: Handler[..., Any], template: EnqueueRequest) -> None:
        self._handler = handler
        self._template = template

    def enqueue(self, /, **payload: Any) -> Any:
        """Create one task with these arguments and return it. Raises PayloadMismatch before anything is written."""
        return port.submit([self._request(payload)])[0]

    def enqueue_many(self, payloads: Iterable[dict[str, Any]]) -> list[Any]:
        """Create a task for each payload, all or none, and return them in order.

        Raises PayloadMismatch, its field naming the payload to blame, before anything is written; BadInput if one
        idempotency key would have to stand for several tasks.
        """
        requests = []
        for index, payload in enumerate(payloads):
            try:
                requests.append(self._request(payload))
            except PayloadMismatch as error:
                raise error.within(f"payloads[{index}]") from None
        if self._template.idempotency_key is not None and len(requests) > 1:
            raise BadInput("An idempotency key names one task: enqueue these one by one.", field="idempotencyKey")
        return port.submit(requests)

    def task(self, /, **payload: Any) -> Workflow:
        """One task with these arguments, not created yet, to be put into a `chain` or a `group`. Raises PayloadMismatch."""
        return Workflow((Step(self._request(payload)),))

    def _request(self, payload: dict[str, Any]) -> EnqueueRequest:
        self._handler.check(payload)
        return dataclasses.replace(self._template, payload=dict(payload))


class Handler(Generic[Parameters, Result]):
    """A function that does the work of tasks of one name. Call it like the function; enqueue it to make a task."""

    def __init__(
        self, function: Callable[Parameters, Result], name: str, declaration: Declaration, *, takes_context: bool
    ) -> None:
        functools.update_wrapper(self, function)
        self.name = name
        self.function = function
        self.declaration = declaration
        self.takes_context = takes_context
        self.is_async = inspect.iscoroutinefunction(function)
        self._signature = PayloadSignature(name, function, takes_context=takes_context)
        for field, kind in _TEMPLATES.items():
            template = getattr(declaration, field)
            for key in kind.keys_of(template or ""):
                if not self._signature.takes(key):
                    raise BadDeclaration(
                        f"@task({name!r}): its {kind.noun} {template!r} names {key!r}, which the function does not take.",
                        field=field,
                    )

    def __call__(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        """Run the function here and now, without a task."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<handler {self.name}: {self.function.__module__}.{self.function.__qualname__}>"

    def bind(self, payload: Any) -> dict[str, Any]:
        """The keyword arguments with which `payload` calls the function, the context not among them.

        A `type` that chose this handler is left out, unless the function has an argument of that name. Raises
        PayloadMismatch, naming what is missing and what is not expected.
        """
        return self._signature.bind(payload)

    def lock_of(self, payload: Mapping[str, Any]) -> str | None:
        """The name of the lock without which a task with that payload must not run. Raises PayloadMismatch."""
        return self._filled("lock", payload)

    def check(self, payload: Any) -> None:
        """Raise PayloadMismatch unless a task with that payload can run: it fits the function and fills the templates."""
        self.bind(payload)
        for field in _TEMPLATES:
            self._filled(field, payload)

    def _filled(self, field: str, payload: Mapping[str, Any]) -> str | None:
        template = getattr(self.declaration, field)
        try:
            return None if template is None else _TEMPLATES[field].fill(template, payload)
        except BadInput as error:
            raise PayloadMismatch(error.message, field=error.field) from None

    def options(
        self,
        *,
        queue: str | None = None,
        priority: int | str | None = None,
        delay_seconds: float | None = None,
        scheduled_at: datetime | None = None,
        idempotency_key: str | None = None,
        max_retries: int | None = None,
        timeout_seconds: float | None = None,
        depends_on: Iterable[Any] = (),
        on_dependency_failure: str | None = None,
        when_lost: str | None = None,
        key: str | None = None,
    ) -> Enqueuer:
        """The same handler, to be enqueued otherwise than it was declared.

        `depends_on` has tasks, or their ids; `on_dependency_failure` is CANCEL, RUN or HOLD; `key` is what the task is called
        in a workflow.
        """
        template = EnqueueRequest(
            name=self.name,
            payload={},
            queue=queue,
            priority=priority,
            delay_seconds=delay_seconds,
            scheduled_at=scheduled_at,
            idempotency_key=idempotency_key,
            max_retries=max_retries,
            timeout_seconds=timeout_seconds,
            depends_on=tuple(depends_on),
            on_dependency_failure=on_dependency_failure,
            when_lost=when_lost,
            key=key,
        )
        return Enqueuer(self, template)

    def enqueue(self, /, **payload: Any) -> Any:
        """Create one task with these arguments and return it, in the caller's transaction; see Enqueuer."""
        return self.options().enqueue(**payload)

    def enqueue_many(self, payloads: Iterable[dict[str, Any]]) -> list[Any]:
        """Create a task for each payload, all or none, in the caller's transaction; see Enqueuer."""
        return self.options().enqueue_many(payloads)

    def task(self, /, **payload: Any) -> Workflow:
        """One task with these arguments, not created yet, to be put into a `chain` or a `group`; see Enqueuer."""
        return self.options().task(**payload)

    def is_same_source(self, other: Handler[..., Any]) -> bool:
        """Whether both come from the same place in the code, as after a second import of its module."""
        mine, others = self.function, other.function
        return (mine.__module__, mine.__qualname__) == (others.__module__, others.__qualname__)


_handlers: dict[str, Handler[..., Any]] = {}


def task(
    name: str,
    *,
    queue: str | None = None,
    priority: int | str | None = None,
    max_retries: int | None = None,
    timeout: float | None = None,
    takes_context: bool = False,
    lock: str | None = None,
    when_lost: str | None = None,
    rate: str | None = None,
    burst: int | None = None,
    max_running: int | None = None,
    per: str | None = None,
) -> Callable[[Callable[Parameters, Result]], Handler[Parameters, Result]]:
    """Declare the decorated function, plain or async, as the handler for tasks of that `name`.

    The payload's keys become its keyword arguments. With `takes_context` it gets a TaskContext first. `timeout` is the
    time limit of an attempt in seconds. Of the tasks that have the same `lock` at most one runs at a time; ``{key}`` in it
    stands for a value of the payload. `when_lost` says what becomes of a task when the lease of a remote worker that is cut
    off runs out: "reassign" it, or "hold" it for that worker. Over all workers its tasks start at a `rate` such as "100/m", up
    to `burst` at once, and at most `max_running` run at a time; `per`, a template like `lock`, is for what these limits count
    apart, as in "{account}". What is left out, the settings decide. Raises BadDeclaration at once for a value that is not
    allowed, a function that no payload can call, or a name that another function has.
    """
    check_name(name)
    try:
        # A level's name is welcome here; the declaration holds its number.
        declaration = Declaration(
            queue,
            priority,  # type: ignore[arg-type]
            max_retries,
            timeout,
            lock,
            when_lost,
            rate,
            burst,
            max_running,
            per,
        )
    except BadDeclaration as error:
        raise BadDeclaration(f"@task({name!r}): {error.message}", field=error.field) from None

    def declare(function: Callable[Parameters, Result]) -> Handler[Parameters, Result]:
        handler = Handler(function, name, declaration, takes_context=takes_context)
        known = _handlers.get(name)
        if known is not None and not known.is_same_source(handler):
            raise BadDeclaration(
                f"Two functions are declared as {name!r}: {known!r} and {handler!r}. Rename one.", field="name"
            )
        _handlers[name] = handler
        return handler

    return declare


def withdraw(names: Iterable[str], module: str) -> None:
    """Forget the handlers of these names that `module` has declared."""
    for name in names:
        handler = _handlers.get(name)
        if handler is not None and handler.function.__module__ == module:
            del _handlers[name]


def registered() -> Mapping[str, Handler[..., Any]]:
    """All handlers of this process by name: a read-only view that follows later declarations."""
    return MappingProxyType(_handlers)


def lookup(name: str) -> Handler[..., Any] | None:
    """The handler of that name, or None if this process has imported none."""
    return _handlers.get(name)
