"""How a timing is told to people."""

import pytest

from scheduling.domain.timing import Timing
from scheduling.domain.wording import describe


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("0 2 * * *", "at 02:00 every day, Europe/Berlin"),
        ("@daily", "at 00:00 every day, Europe/Berlin"),
        ("5 0 2 * * *", "at 02:00:05 every day, Europe/Berlin"),
        ("*/5 * * * *", "every 5 minutes, Europe/Berlin"),
        ("*/10 * * * * *", "every 10 seconds, Europe/Berlin"),
        ("0 0 * * mon", "at 00:00, only on Monday, Europe/Berlin"),
        ("30 2 1,15 * *", "at 02:30, on day 1 and 15 of the month, Europe/Berlin"),
        ("0 0 13 * 5", "at 00:00, on day 13 of the month, or on Friday, Europe/Berlin"),
        ("0 0 */2 * 1", "at 00:00, every 2 days, and only on Monday, Europe/Berlin"),
    ],
)
def test_expressions(expression, told):
    assert describe(Timing(expression, None, "Europe/Berlin")) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (1, "every second"),
        (90, "every 90 seconds"),
        (60, "every minute"),
        (300, "every 5 minutes"),
        (3600, "every hour"),
        (86_400, "every day"),
        (3 * 86_400, "every 3 days"),
        (100_000, "every 100,000 seconds"),
    ],
)
def test_intervals(seconds, told):
    assert describe(Timing(None, seconds)) == told
