"""When a worker counts as online."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum


class WorkerStatus(StrEnum):
    """What a worker last said of itself."""

    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"


def is_online(status: str, last_heartbeat: datetime, now: datetime, offline_after: timedelta) -> bool:
    """Whether the worker has been heard of lately and has not signed off."""
    return status != WorkerStatus.STOPPED and now - last_heartbeat <= offline_after
