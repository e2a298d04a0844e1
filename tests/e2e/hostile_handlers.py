"""Handlers that do what no handler should, for tests of what a worker survives."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time

from tasks import TaskCancelled, TaskContext, task


class Unspeakable(Exception):
    """Its text cannot be told."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


@task("unspeakable", max_retries=0)
def unspeakable() -> None:
    """Raise an exception whose text raises."""
    raise Unspeakable


@task("unspeakable-async", max_retries=0)
async def unspeakable_async() -> None:
    """The same, on the event loop."""
    raise Unspeakable


@task("close-connection", max_retries=0)
def close_connection() -> None:
    """Close Django's connection behind its back, and use it."""
    from django.db import connection

    from tasks.models import Task

    connection.ensure_connection()
    connection.connection.close()
    Task.objects.count()


@task("leave-transaction")
def leave_transaction() -> None:
    """Leave this thread's connection in a transaction."""
    from django.db import transaction

    transaction.set_autocommit(False)


@task("spawn", takes_context=True)
def spawn(context: TaskContext) -> str:
    """Create another task."""
    return str(context.enqueue("fine", {}).id)


@task("spawn-async", takes_context=True)
async def spawn_async(context: TaskContext) -> str:
    """Create another task, from the event loop."""
    return str(context.enqueue("fine", {}).id)


@task("fine")
def fine() -> str:
    """Do nothing wrong."""
    return "fine"


@task("fine-async")
async def fine_async() -> str:
    """Do nothing wrong on the event loop."""
    await asyncio.sleep(0)
    return "fine"


@task("exit-async", max_retries=0)
async def exit_async() -> None:
    """Leave the program, from a sub-task of the event loop."""

    async def leave() -> None:
        sys.exit(3)

    await asyncio.wait_for(leave(), 5)


@task("claim-cancelled", max_retries=1)
def claim_cancelled() -> None:
    """Say that it was cancelled, though it was not."""
    raise TaskCancelled


@task("fork-and-return")
def fork_and_return() -> int:
    """Fork, and let both copies return."""
    child = os.fork()
    if child:
        threading.Thread(target=os.waitpid, args=(child, 0)).start()
    return child


@task("leave-a-fork")
def leave_a_fork() -> int:
    """Leave a process behind that holds everything open that this one has open."""
    child = os.fork()
    if child == 0:
        time.sleep(20)
        os._exit(0)
    return child


@task("sleep-async")
async def sleep_async(seconds: float) -> None:
    """Sleep on the event loop."""
    await asyncio.sleep(seconds)
