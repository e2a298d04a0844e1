"""The tasks of the app; workers find them by the name of this module."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from tasks import Discard, Retry

try:
    from django.tasks import TaskContext, task
except ImportError:
    from django_tasks import TaskContext, task


@task()
def add(left: int, right: int = 0) -> int:
    return left + right


@task(priority=10, queue_name="mail")
async def greet(name: str) -> dict[str, str]:
    await asyncio.sleep(0)
    return {"said": f"Hello {name}"}


@task(takes_context=True)
def tell_attempt(context: TaskContext, *words: str) -> list[Any]:
    result = context.task_result
    return [context.attempt, result.id, result.status, result.args, result.worker_ids]


@task(takes_context=True)
async def succeed_at_last(context: TaskContext) -> int:
    if context.attempt == 1:
        raise Retry(0, "not yet")
    return context.attempt


@task()
def break_down(text: str) -> None:
    raise LookupError(text)


@task()
async def break_down_later(text: str) -> None:
    raise LookupError(text)


@task()
def give_up() -> None:
    raise Discard("of no use")


@task()
def leave() -> None:
    raise SystemExit("enough")


@task()
def return_a_function() -> Any:
    return leave


@task(takes_context=True)
def wait_for_a_second_run(context: TaskContext) -> int:
    """The first run lasts until its worker dies."""
    while context.attempt == 1:
        time.sleep(0.05)
    return context.attempt


def close_shop() -> None:
    """No task: a row that names it must not run it."""
    raise AssertionError("it ran")


def make_late(day: int) -> int:
    """A function whose Task goes by another name, by which no row can find it."""
    return day


late = task()(make_late)
