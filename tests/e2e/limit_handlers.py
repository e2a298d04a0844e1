"""Handlers that are limited. Each leaves a line in a journal, with the moment, when it begins and when it ends."""

from __future__ import annotations

import time

from tasks import TaskContext, task
from tests.e2e.job_handlers import write


@task("call", rate="600/m", burst=20)
def call(journal: str) -> None:
    """Be called ten times a second at most."""
    write(journal, f"call {time.time():.6f}")


@task("capped", max_running=3, takes_context=True)
def capped(context: TaskContext, journal: str, seconds: float = 0.0) -> None:
    """Run beside two others at most."""
    _be_there(context, journal, "all", seconds)


@task("per-account", max_running=2, per="{account}", takes_context=True)
def per_account(context: TaskContext, journal: str, account: str, seconds: float = 0.0) -> None:
    """Run beside one other of the account at most."""
    _be_there(context, journal, account, seconds)


@task("free")
def free(journal: str) -> None:
    """Be limited by nothing."""
    write(journal, f"free {time.time():.6f}")


def _be_there(context: TaskContext, journal: str, where: str, seconds: float) -> None:
    write(journal, f"start {where} {context.task_id}/{context.attempt}")
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        context.checkpoint()
        time.sleep(0.02)
    write(journal, f"end {where} {context.task_id}/{context.attempt}")
