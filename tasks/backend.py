"""The back end for `django.tasks` that the setting TASKS names: `tasks.backend.DTQBackend`.

What it creates are DTQ's tasks, of the team of the installation's own code; `django_tasks/` reads and runs them. Tasks are
declared while Django still loads its apps, so what needs models is imported by the methods.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error

from dtq_site.foundation.errors import BadInput
from tasks.django_tasks import declared, priority
from tasks.django_tasks.api import BaseTaskBackend, InvalidTask, Task, TaskResult, normalize_json, task_enqueued
from tasks.domain.submission import check_queue
from tasks.handling.declaration import Declaration
from tasks.handling.errors import BadDeclaration
from tasks.handling.port import EnqueueRequest

_OPTIONS = ("max_retries", "timeout_seconds")


class DTQBackend(BaseTaskBackend):
    """Tasks of `django.tasks` as tasks of DTQ. OPTIONS may have `max_retries` and `timeout_seconds`.

    Without `max_retries` a task that raises has failed at once, and RETRY_ATTEMPTS is how often one runs again whose worker was
    lost or that took too long.
    """

    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    @property
    def repeats_failures(self) -> bool:
        """Whether a task that raises runs again while it has attempts left."""
        return self._options["max_retries"] is not None

    def validate_task(self, task: Task) -> None:
        """Raise InvalidTask unless the task can run here; the workers of this process can run it from then on."""
        super().validate_task(task)
        try:
            check_queue(task.queue_name)
            declared.announce(task, self._declaration_of(task))
        except BadInput as error:
            raise InvalidTask(error.message) from None

    def enqueue(self, task: Task, args: Sequence[Any], kwargs: Mapping[str, Any]) -> TaskResult:
        """Create a task in the caller's transaction, if there is one, and return its result, which is READY.

        Raises InvalidTask, TypeError for arguments that JSON does not have, BadInput for other reasons that lie in them.
        """
        from tasks import submission
        from tasks.django_tasks.results import result_of

        self.validate_task(task)
        request = EnqueueRequest(
            name=task.module_path,
            payload=self._payload(task, args, kwargs),
            queue=task.queue_name,
            priority=priority.to_dtq(int(task.priority)),
            scheduled_at=task.run_after,
            **self._options,
        )
        (row,) = submission.submit_from_code([request])
        result = result_of(row)
        task_enqueued.send(type(self), task_result=result)
        return result

    def _payload(self, task: Task, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments, and what the row's columns and the Task's declaration do not tell."""
        found = declared.find(task.module_path)
        if found is None:
            raise InvalidTask(f"No Task stands under {task.module_path}: give it the name of its function.")
        payload: dict[str, Any] = normalize_json({"args": args, "kwargs": kwargs})
        if not priority.is_told_apart(int(task.priority)):
            payload["priority"] = int(task.priority)
        if self.alias != found.backend:
            payload["backend"] = self.alias
        return payload

    def get_result(self, result_id: str) -> TaskResult:
        """What is known of a task by now. Raises TaskResultDoesNotExist."""
        from tasks.django_tasks.results import find_row, result_of

        return result_of(find_row(result_id))

    def check(self, **kwargs: Any) -> Iterable[CheckMessage]:
        """What is wrong with the setting TASKS as far as it concerns this back end."""
        yield from super().check(**kwargs)
        where = f"TASKS[{self.alias!r}]"
        if not apps.is_installed("tasks"):
            yield Error(f"{where} is DTQ's, which is not installed here.", hint="Start your settings from dtq_site.settings.",
                        id="tasks.E001")  # fmt: skip
        for unknown in sorted(set(self.options) - set(_OPTIONS)):
            yield Error(
                f"{where} has an option {unknown!r}.", hint=f"There are {' and '.join(_OPTIONS)}.", id="tasks.E002"
            )
        try:
            Declaration(**self._options)
        except BadDeclaration as error:
            yield Error(f"{where} has a bad option: {error.message}", id="tasks.E003")

    @property
    def _options(self) -> dict[str, Any]:
        return {name: self.options.get(name) for name in _OPTIONS}

    def _declaration_of(self, task: Task) -> dict[str, Any]:
        return {
            "queue": task.queue_name,
            "priority": priority.to_dtq(int(task.priority)),
            "max_retries": self._options["max_retries"],
            "timeout": self._options["timeout_seconds"],
        }
