"""How people say when a schedule is due: `at 02:00 every day, Europe/Berlin`."""

from __future__ import annotations

from cron_descriptor import Options, get_description

from scheduling.domain import cron
from scheduling.domain.timing import Timing

_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_EVERY_DAY = ("*", "*", "*")


def describe(timing: Timing) -> str:
    """The timing in words, without its start and its end."""
    if timing.cron_expression is not None:
        return f"{describe_cron(cron.parse(timing.cron_expression))}, {timing.timezone}"
    assert timing.interval_seconds is not None
    size, unit = next((size, unit) for size, unit in _UNITS if timing.interval_seconds % size == 0)
    count = timing.interval_seconds // size
    return f"every {unit}" if count == 1 else f"every {count:,} {unit}s"


def describe_cron(expression: cron.Cron) -> str:
    """The expression in words."""
    options = Options()
    options.use_24hour_time_format = True
    text = str(get_description(expression.expression, options))
    days = expression.fields[2:]
    if days == _EVERY_DAY and expression.fixed_time:
        text += " every day"
    if days[0].startswith("*") or days[2].startswith("*"):
        text = text.replace(", or ", ", and only ")  # with a star both fields of days must fit
    return text[:1].lower() + text[1:]
