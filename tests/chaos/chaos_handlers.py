"""The handlers of the load: each writes its start and its end into the journal, and ends in a way of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks import Discard, Retry, TaskContext, task
from tests.chaos.journal import Journal, Witness

JOURNAL_VARIABLE = "CHAOS_JOURNAL"
BEAT_SECONDS = 0.2
MANY_RETRIES = 20

_journal = Journal(Path(os.environ.get(JOURNAL_VARIABLE, ".")))


@contextmanager
def _witness(context: TaskContext) -> Iterator[Witness]:
    witness = Witness(_journal, context)
    with witness.execution():
        yield witness


@task("chaos-noop", takes_context=True, max_retries=MANY_RETRIES)
def noop(context: TaskContext, number: int) -> None:
    """Do nothing, and return nothing: such results are recorded many at once."""
    with _witness(context):
        return


@task("chaos-sleep", takes_context=True, max_retries=MANY_RETRIES)
def sleep(context: TaskContext, number: int, seconds: float) -> str:
    """Sleep, writing now and then that the sleep goes on."""
    with _witness(context) as witness:
        for nap in _naps(seconds):
            time.sleep(nap)
            witness.see("beat")
            context.checkpoint()
        return witness.result()


@task("chaos-deaf", takes_context=True, max_retries=MANY_RETRIES)
def deaf(context: TaskContext, number: int, seconds: float) -> str:
    """As `sleep`, but hear of nothing: neither of a lost lease nor of a cancellation."""
    with _witness(context) as witness:
        for nap in _naps(seconds):
            time.sleep(nap)
            witness.see("beat")
        return witness.result()


@task("chaos-async", takes_context=True, max_retries=MANY_RETRIES)
async def sleep_async(context: TaskContext, number: int, seconds: float) -> str:
    """Sleep on the event loop."""
    with _witness(context) as witness:
        for nap in _naps(seconds):
            await asyncio.sleep(nap)
            witness.see("beat")
        return witness.result()


def _naps(seconds: float) -> Iterator[float]:
    """The parts of a sleep. A process that was suspended has the rest still before it, and so meets its successor."""
    whole, rest = divmod(seconds, BEAT_SECONDS)
    yield from (BEAT_SECONDS,) * int(whole)
    yield rest


@task("chaos-flaky", takes_context=True, max_retries=MANY_RETRIES)
def flaky(context: TaskContext, number: int, failures: int) -> str:
    """Fail at the first attempts."""
    with _witness(context) as witness:
        if context.attempt <= failures:
            raise Retry(reason=f"attempt {context.attempt} of {failures} that fail")
        return witness.result()


@task("chaos-hopeless", takes_context=True, max_retries=2)
def hopeless(context: TaskContext, number: int) -> None:
    """Fail at every attempt."""
    with _witness(context):
        raise RuntimeError("hopeless")


@task("chaos-useless", takes_context=True, max_retries=MANY_RETRIES)
def useless(context: TaskContext, number: int) -> None:
    """Fail for good."""
    with _witness(context):
        raise Discard("useless")


@task("chaos-poison", takes_context=True, max_retries=100)
def poison(context: TaskContext, number: int) -> None:
    """Take the whole process down."""
    with _witness(context):
        os.kill(os.getpid(), signal.SIGKILL)


@task("chaos-parent", takes_context=True, max_retries=MANY_RETRIES)
def parent(context: TaskContext, number: int) -> str:
    """Enqueue another task, under a key so that a second execution enqueues no second one, and return its id."""
    with _witness(context) as witness:
        made = child.options(idempotency_key=f"child of {context.task_id}").enqueue(parent=context.task_id)
        witness.see("accepted", child=str(made.id))
        return witness.result(str(made.id))


@task("chaos-child", takes_context=True, max_retries=MANY_RETRIES)
def child(context: TaskContext, parent: str) -> str:
    """Do what a parent has asked for."""
    with _witness(context) as witness:
        return witness.result()
