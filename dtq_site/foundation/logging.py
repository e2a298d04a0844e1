"""Log lines: coloured and short for people, JSON for machines. Every line is an event name with facts."""

from __future__ import annotations

import logging
import logging.config
from typing import Any

import structlog

from dtq_site.foundation import causes
from dtq_site.foundation.observer import Event, Listener

_of_this_process: dict[str, Any] = {}


def say_always(**facts: Any) -> None:
    """Have every line of this process say so from now on, unless it says something else."""
    _of_this_process.update(facts)


def _add_circumstances(logger: Any, method: str, line: dict[str, Any]) -> dict[str, Any]:
    """What is done, and in which process; what the line says of it itself counts."""
    cause = causes.current()
    return {**line, **{key: value for key, value in _circumstances(cause).items() if key not in line}}


def _circumstances(cause: causes.Cause | None) -> dict[str, Any]:
    return {**(cause.facts() if cause else {}), **_of_this_process}


_SHARED: list[Any] = [_add_circumstances, structlog.contextvars.merge_contextvars, structlog.stdlib.add_log_level]


def logging_config(level: str, *, as_json: bool, colours: bool, task_level: str = "") -> dict[str, Any]:
    """A `logging.config.dictConfig` dictionary that renders every record, ours and the libraries', in one form.

    `task_level` is that of the lines about moves of tasks, if it is to be another one.
    """
    tail: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if as_json:
        tail += [
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    else:
        tail += [
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            structlog.dev.ConsoleRenderer(colors=colours, pad_event_to=20, sort_keys=False),
        ]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "dtq": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": tail,
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "dtq"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "dtq": {"level": level.upper()},
            "dtq.tasks": {"level": (task_level or level).upper()},
            "django": {"level": "INFO" if level == "debug" else "WARNING"},
            "django.request": {"level": "ERROR"},  # a refused request has its line from the server already
            "daphne": {"level": "WARNING"},
            # It writes a trace every second while Redis is away; the listener says it once.
            "channels_redis": {"level": "CRITICAL"},
        },
    }


def apply(config: dict[str, Any]) -> None:
    """Set up this process's logging by a dictionary that `logging_config` made; Django calls it at its start."""
    logging.config.dictConfig(config)
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def log_events(logger_name: str, levels: dict[str, str] | None = None) -> Listener:
    """A listener that writes each event as one log line; `levels` names the level of events that are not plain info."""
    return _LogLines(logger_name, levels or {})


_NUMBERS = {name.lower(): number for name, number in logging.getLevelNamesMapping().items()}


class _LogLines:
    """Asks the logger before a line is made: most events happen by the thousand."""

    def __init__(self, logger_name: str, levels: dict[str, str]) -> None:
        self._logger = structlog.stdlib.get_logger(logger_name)
        self._switch = logging.getLogger(logger_name)
        self._levels = levels

    def wants(self, name: str) -> bool:
        """Whether lines of its level are written."""
        return self._switch.isEnabledFor(_NUMBERS[self._level(name)])

    def __call__(self, event: Event) -> None:
        """Write the line."""
        getattr(self._logger, self._level(event.name))(event.name, **event.facts)

    def _level(self, name: str) -> str:
        return self._levels.get(name, "error" if name.endswith(".failed") else "info")
