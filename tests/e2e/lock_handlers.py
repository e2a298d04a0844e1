"""Handlers that use locks. Each leaves a line in a journal, fsynced, when it enters what the lock protects and when it leaves."""

from __future__ import annotations

import asyncio
import time

from tasks import TaskContext, task
from tests.e2e.job_handlers import write


@task("report", lock="report:{account}", takes_context=True)
def report(context: TaskContext, journal: str, account: str, seconds: float = 0.0) -> int | None:
    """Be alone in the account for a while."""
    write(journal, f"start {account} {context.task_id}/{context.attempt} {context.lock_fencing_number}")
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        context.checkpoint()
        time.sleep(0.02)
    write(journal, f"end {account} {context.task_id}/{context.attempt} {context.lock_fencing_number}")
    return context.lock_fencing_number


@task("plain")
def plain(journal: str) -> None:
    """Need no lock."""
    write(journal, "plain")


@task("change-prices", takes_context=True, timeout=60)
def change_prices(context: TaskContext, journal: str, shop: str) -> int:
    """Be alone in the shop for a moment, by a lock of one's own."""
    with context.lock(f"prices:{shop}", timeout=50) as held:
        write(journal, f"start {shop} {context.task_id}/{context.attempt} {held.fencing_number}")
        time.sleep(0.02)
        write(journal, f"end {shop} {context.task_id}/{context.attempt} {held.fencing_number}")
    return held.fencing_number


@task("change-prices-async", takes_context=True, timeout=60)
async def change_prices_async(context: TaskContext, journal: str, shop: str) -> int:
    """The same on the event loop."""
    async with context.lock(f"prices:{shop}", timeout=50) as held:
        write(journal, f"start {shop} {context.task_id}/{context.attempt} {held.fencing_number}")
        await asyncio.sleep(0.02)
        write(journal, f"end {shop} {context.task_id}/{context.attempt} {held.fencing_number}")
    return held.fencing_number
