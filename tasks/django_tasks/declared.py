"""Which tasks of Django's kind this process knows, and the handlers by which its workers run them.

A Task is known by its module path, `shop.tasks.send_receipt`, and its handler bears that name: so each has a lane, limits and
figures of its own. A path that comes from a row, and so perhaps from a client of the API, imports nothing: it has to be that of
a Task in a module that this process has imported by itself.

Imports no models: Tasks are declared while Django still loads its apps.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from inspect import iscoroutinefunction
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.utils.module_loading import autodiscover_modules

from tasks.handling import registry
from tasks.handling.context import TaskContext
from tasks.handling.errors import BadDeclaration, HandlersNotLoaded, TaskInterrupted

_ENDED_FROM_OUTSIDE = (TaskInterrupted, asyncio.CancelledError)
"""What the executor raises in a task; it knows why."""


def discover() -> None:
    """Import `tasks.py` of every app that has one, if the setting TASKS has a use for it. Raises HandlersNotLoaded."""
    if not getattr(settings, "TASKS", None) or not (find_spec("django.tasks") or find_spec("django_tasks")):
        return
    try:
        autodiscover_modules("tasks")
    except Exception as error:
        raise HandlersNotLoaded(
            f"The tasks.py of an app cannot be loaded: {type(error).__name__}: {error}. Mend it, or take its app out of "
            "INSTALLED_APPS."
        ) from error


def find(path: str) -> Any:
    """The Task of that module path; None if no imported module has one."""
    from tasks.django_tasks import api

    module, _, name = path.rpartition(".")
    found = getattr(sys.modules.get(module), name, None)
    return found if isinstance(found, api.Task) and found.module_path == path else None


def announce(task: Any, declaration: Mapping[str, Any]) -> None:
    """Let the workers of this process run that Task, if they do not yet. `declaration` is for `tasks.task`.

    Raises BadDeclaration if its path can be no handler's name, or is that of another handler.
    """
    known = registry.lookup(task.module_path)
    if known is None:
        handler = _run_async if iscoroutinefunction(task.func) else _run
        registry.task(task.module_path, takes_context=True, **declaration)(handler)
    elif known.function not in (_run, _run_async):
        raise BadDeclaration(f"{task.module_path} is the name of another handler: {known!r}. Rename one.", field="name")


# A payload has what `results.py` reads from the row; the arguments only say what is allowed in it.


def _run(context: TaskContext, args: Any = None, kwargs: Any = None, priority: Any = None, backend: Any = None) -> Any:
    from tasks.django_tasks.running import Execution

    execution = Execution(context)
    try:
        return execution.succeed(execution.call())
    except _ENDED_FROM_OUTSIDE:
        raise
    except BaseException as error:
        raise execution.fail(error) from error


async def _run_async(
    context: TaskContext, args: Any = None, kwargs: Any = None, priority: Any = None, backend: Any = None
) -> Any:
    from tasks.django_tasks.running import Execution

    execution = await sync_to_async(Execution)(context)
    try:
        return await sync_to_async(execution.succeed)(await execution.call())
    except _ENDED_FROM_OUTSIDE:
        raise
    except BaseException as error:
        raise await sync_to_async(execution.fail)(error) from error
