"""Handlers for tests with real processes. Each execution leaves a line in a journal, fsynced, before and after its work."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from tasks import Retry, TaskContext, task


def write(journal: str, line: str) -> None:
    """Add a line to the journal, for good."""
    descriptor = os.open(journal, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    os.write(descriptor, f"{line}\n".encode())
    os.fsync(descriptor)
    os.close(descriptor)


def read(journal: Path) -> list[str]:
    """The journal's lines so far."""
    return journal.read_text().splitlines() if journal.exists() else []


def gate(journal: str | Path, word: str) -> Path:
    """The file that opens a gate by being there."""
    return Path(f"{journal}.{word}")


@task("journal")
def journal_once(journal: str, word: str) -> str:
    """Write one word."""
    write(journal, word)
    return word


@task("slow", takes_context=True)
def slow(context: TaskContext, journal: str, word: str, seconds: float) -> str:
    """Work for a while, with a checkpoint every 50 ms."""
    write(journal, f"start {word}")
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        context.progress(min(100, 100 - (ends_at - time.monotonic()) / seconds * 100))
        time.sleep(0.05)
    context.log(f"{word} is done")
    write(journal, f"end {word}")
    return word


@task("gated")
def gated(journal: str, word: str) -> str:
    """Work until the gate of this word is open."""
    write(journal, f"start {word}")
    while not gate(journal, word).exists():
        time.sleep(0.05)
    write(journal, f"end {word}")
    return word


@task("slow-async")
async def slow_async(journal: str, word: str, seconds: float) -> str:
    """Sleep for a while on the event loop."""
    write(journal, f"start {word}")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        write(journal, f"cancelled {word}")
        raise
    write(journal, f"end {word}")
    return word


@task("spin", timeout=1)
def spin() -> None:
    """Never end, and swallow every Exception."""
    while True:
        try:
            sum(range(1000))
        except Exception:
            continue


@task("deaf")
def deaf(journal: str, word: str, seconds: float) -> str:
    """Work for a while without a checkpoint."""
    write(journal, f"start {word}")
    time.sleep(seconds)
    write(journal, f"end {word}")
    return word


@task("fails-twice", takes_context=True)
def fails_twice(context: TaskContext) -> int:
    """Fail at the first two attempts."""
    if context.attempt < 3:
        raise Retry(0.1, f"attempt {context.attempt} is not lucky")
    return context.attempt


@task("kills-its-worker")
def kills_its_worker() -> None:
    """Take the whole worker process down."""
    os.kill(os.getpid(), 9)


@task("parent", takes_context=True)
def parent(context: TaskContext, journal: str) -> str:
    """Enqueue another task, in the way that handler modules do it."""
    child = journal_once.enqueue(journal=journal, word=f"child of {context.task_id}")
    return str(child.id)
