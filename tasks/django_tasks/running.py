"""One attempt at a task of Django's kind, in a worker: its Task is called, and the receivers of its signals are told."""

from __future__ import annotations

from typing import Any

from dtq_site.foundation.database import database_clock
from tasks.django_tasks import errors, results
from tasks.django_tasks.api import (
    TaskContext,
    TaskResultDoesNotExist,
    TaskResultStatus,
    normalize_json,
    task_finished,
    task_started,
)
from tasks.domain.retry import History
from tasks.handling import context as dtq
from tasks.handling.errors import Discard, Retry


class Execution:
    """One attempt at a Task. Made when it starts: the receivers of `task_started` have been told then.

    Raises Discard for what cannot run: another team's task, a Task that is not known here, arguments that are none.
    """

    def __init__(self, context: dtq.TaskContext) -> None:
        try:
            self._row = results.find_row(context.task_id)
            self._result = results.result_of(self._row)
        except TaskResultDoesNotExist as error:
            raise Discard(f"no Task of this installation: {error}") from None
        if not isinstance(self._result.args, list) or not isinstance(self._result.kwargs, dict):
            raise Discard("args must be a list, and kwargs an object.")
        context.log(results.start_line(self._row), "debug")
        self._backend = self._result.task.get_backend()
        task_started.send_robust(sender=type(self._backend), task_result=self._result)

    def call(self) -> Any:
        """Call the Task's function; of a coroutine function this makes the coroutine."""
        task, result = self._result.task, self._result
        context = [TaskContext(task_result=result)] if task.takes_context else []
        return task.func(*context, *result.args, **result.kwargs)

    def succeed(self, returned: Any) -> Any:
        """Take what the function returned; returns it as JSON has it. Raises TypeError or ValueError if it cannot be."""
        value = normalize_json(returned)
        object.__setattr__(self._result, "_return_value", value)
        self._finish(TaskResultStatus.SUCCESSFUL)
        return value

    def fail(self, error: BaseException) -> Exception:
        """Take what the function raised; returns what is to be raised in its place. Called while it is handled."""
        self._result.errors.append(errors.task_error(error))
        repeats = isinstance(error, Retry) or (self._backend.repeats_failures and not isinstance(error, Discard))
        if not repeats or self._is_last:
            self._finish(TaskResultStatus.FAILED)
        if isinstance(error, Retry | Discard):
            return error
        return Retry(reason=errors.written(error)) if repeats else Discard(errors.written(error))

    @property
    def _is_last(self) -> bool:
        row = self._row
        return History(row.attempts - row.earlier_attempts, row.failures, row.lost_leases, row.max_retries).used_up

    def _finish(self, status: TaskResultStatus) -> None:
        object.__setattr__(self._result, "finished_at", database_clock.now())
        object.__setattr__(self._result, "status", status)
        task_finished.send_robust(sender=type(self._backend), task_result=self._result)
