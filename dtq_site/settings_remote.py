"""The settings of a remote worker, read from the environment: no Django, no apps, no servers, no secrets but its token.

A machine with nothing but the base dependencies can load it. `settings.py` is its counterpart where the database is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dtq_site.foundation.logging import logging_config
from dtq_site.foundation.options import OptionsError, load
from dtq_site.options import SiteOptions
from tasks.options import TasksOptions
from workers.options import RemoteOptions, WorkersOptions


@dataclass(frozen=True)
class RemoteSettings:
    """What a remote worker's environment says."""

    site: SiteOptions
    remote: RemoteOptions
    workers: WorkersOptions
    handlers: tuple[str, ...]
    logging: dict[str, Any]


def names_server() -> bool:
    """Whether the environment makes of every worker a remote one."""
    return bool(os.environ.get("DTQ_SERVER", "").strip())


def read_settings(environ: Mapping[str, str] | None = None) -> RemoteSettings:
    """The settings. Raises OptionsError with all problems in one go."""
    found = os.environ if environ is None else environ
    problems: list[str] = []
    loaded: list[Any] = []
    for options in (RemoteOptions, WorkersOptions, TasksOptions, SiteOptions):
        try:
            loaded.append(load(options, found))
        except OptionsError as error:
            problems += error.problems
    if problems:
        raise OptionsError(problems)
    remote, workers, tasks, site = loaded
    colours = sys.stderr.isatty() or "FORCE_COLOR" in found
    as_json = site.environment == "production"
    lines = logging_config(site.log_level, as_json=as_json, colours=colours, task_level=site.task_log_level)
    return RemoteSettings(site, remote, workers, tasks.handlers, lines)
