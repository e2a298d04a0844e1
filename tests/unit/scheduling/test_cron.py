"""When a cron expression is due: Debian's rule in zones whose clocks change, and a strict reading of the five fields."""

from datetime import UTC, datetime
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtq_site.foundation.errors import BadInput
from scheduling.domain.cron import ALIASES, parse, upcoming, zone


def next_after(cron, timezone, after):
    return next(upcoming(cron, timezone, after))


def runs(expression: str, timezone: str, after: str, count: int) -> list[str]:
    """The first moments after `after`, in UTC, written without their zone."""
    moments = upcoming(parse(expression), zone(timezone), datetime.fromisoformat(after).replace(tzinfo=UTC))
    return [moment.strftime("%Y-%m-%d %H:%M:%S").removesuffix(":00") for moment in islice(moments, count)]


# --- the plain calendar --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * *", ["2030-01-01 12:01", "2030-01-01 12:02"]),
        ("*/20 * * * *", ["2030-01-01 12:20", "2030-01-01 12:40", "2030-01-01 13:00"]),
        ("5/20 * * * *", ["2030-01-01 12:05", "2030-01-01 12:25", "2030-01-01 12:45", "2030-01-01 13:05"]),
        ("0 5-5 * * *", ["2030-01-02 05:00", "2030-01-03 05:00"]),
        ("10-10 * * * *", ["2030-01-01 12:10", "2030-01-01 13:10"]),
        ("0 9-17/4 * * *", ["2030-01-01 13:00", "2030-01-01 17:00", "2030-01-02 09:00"]),
        ("0 0 1,15 * *", ["2030-01-15 00:00", "2030-02-01 00:00"]),
        ("0 0 31 * *", ["2030-01-31 00:00", "2030-03-31 00:00", "2030-05-31 00:00"]),
        ("0 0 29 2 *", ["2032-02-29 00:00", "2036-02-29 00:00"]),
        ("0 12 * * MON-FRI", ["2030-01-02 12:00", "2030-01-03 12:00", "2030-01-04 12:00", "2030-01-07 12:00"]),
        ("0 12 * JAN,mar sun", ["2030-01-06 12:00", "2030-01-13 12:00"]),
        ("0 0 * * 0", ["2030-01-06 00:00"]),
        ("0 0 * * 7", ["2030-01-06 00:00"]),
        ("0 0 13 * 5", ["2030-01-04 00:00", "2030-01-11 00:00", "2030-01-13 00:00"]),
        ("  0   0 1 1  * ", ["2031-01-01 00:00"]),
    ],
)
def test_five_fields_in_utc(expression, expected):
    assert runs(expression, "UTC", "2030-01-01 12:00", len(expected)) == expected


@pytest.mark.parametrize(
    ("alias", "expected"),
    [
        ("@hourly", "2030-01-01 13:00"),
        ("@daily", "2030-01-02 00:00"),
        ("@midnight", "2030-01-02 00:00"),
        ("@weekly", "2030-01-06 00:00"),
        ("@monthly", "2030-02-01 00:00"),
        ("@yearly", "2031-01-01 00:00"),
        ("@Annually", "2031-01-01 00:00"),
    ],
)
def test_aliases(alias, expected):
    assert runs(alias, "UTC", "2030-01-01 12:00", 1) == [expected]


def test_a_moment_on_the_slot_is_not_after_it_and_part_of_a_second_is():
    hourly, utc = parse("0 * * * *"), zone("UTC")
    slot = datetime(2030, 1, 1, 12, tzinfo=UTC)

    assert next_after(hourly, utc, slot) == slot.replace(hour=13)
    assert next_after(hourly, utc, slot.replace(microsecond=1)) == slot.replace(hour=13)
    assert next_after(hourly, utc, datetime(2030, 1, 1, 11, 59, 59, 999_999, UTC)) == slot


def test_moments_are_aware_in_utc_whatever_zone_asks():
    berlin = zone("Europe/Berlin")

    moment = next_after(parse("0 8 * * *"), berlin, datetime(2030, 7, 1, 9, tzinfo=berlin))

    assert (moment, moment.tzinfo) == (datetime(2030, 7, 2, 6, tzinfo=UTC), UTC)


# --- clocks that change --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "timezone", "after", "expected"),
    [
        pytest.param("30 2 * * *", "Europe/Berlin", "2026-03-28 12:00",
                     ["2026-03-29 01:00", "2026-03-30 00:30"], id="Berlin, the skipped hour: right after the gap"),
        pytest.param("30 2 * * *", "Europe/Berlin", "2026-10-24 12:00",
                     ["2026-10-25 00:30", "2026-10-26 01:30"], id="Berlin, the repeated hour: the first time only"),
        pytest.param("0,30 2 * * *", "Europe/Berlin", "2026-03-28 12:00",
                     ["2026-03-29 01:00", "2026-03-30 00:00", "2026-03-30 00:30"], id="Berlin, two skipped slots: once"),
        pytest.param("0 3 * * *", "Europe/Berlin", "2026-03-28 12:00",
                     ["2026-03-29 01:00", "2026-03-30 01:00"], id="Berlin, at the end of the gap"),
        pytest.param("0 3 * * *", "Europe/Berlin", "2026-10-24 12:00",
                     ["2026-10-25 02:00", "2026-10-26 02:00"], id="Berlin, at the end of the repetition"),
        pytest.param("30 2 * * *", "America/New_York", "2026-03-07 12:00",
                     ["2026-03-08 07:00", "2026-03-09 06:30"], id="New York, the skipped hour"),
        pytest.param("30 1 * * *", "America/New_York", "2026-10-31 12:00",
                     ["2026-11-01 05:30", "2026-11-02 06:30"], id="New York, the repeated hour"),
        pytest.param("15 2 * * *", "Australia/Lord_Howe", "2026-10-02 20:00",
                     ["2026-10-03 15:30", "2026-10-04 15:15"], id="Lord Howe, the skipped half hour"),
        pytest.param("45 1 * * *", "Australia/Lord_Howe", "2026-04-03 20:00",
                     ["2026-04-04 14:45", "2026-04-05 15:15"], id="Lord Howe, the repeated half hour"),
        pytest.param("0 12 * * *", "Pacific/Apia", "2011-12-29 12:00",
                     ["2011-12-29 22:00", "2011-12-30 22:00"], id="Apia, the day that never was"),
    ],
)  # fmt: skip
def test_a_fixed_time_runs_once_on_the_days_of_change(expression, timezone, after, expected):
    assert runs(expression, timezone, after, len(expected)) == expected


@pytest.mark.parametrize(
    ("expression", "timezone", "after", "expected"),
    [
        pytest.param("30 * * * *", "Europe/Berlin", "2026-03-29 00:00",
                     ["2026-03-29 00:30", "2026-03-29 01:30"], id="Berlin, spring: nothing is made up"),
        pytest.param("30 * * * *", "Europe/Berlin", "2026-10-25 00:00",
                     ["2026-10-25 00:30", "2026-10-25 01:30", "2026-10-25 02:30"], id="Berlin, autumn: every hour"),
        pytest.param("*/30 2 * * *", "Europe/Berlin", "2026-03-28 12:00",
                     ["2026-03-30 00:00", "2026-03-30 00:30"], id="Berlin, spring: the hour is not there"),
        pytest.param("*/30 2 * * *", "Europe/Berlin", "2026-10-24 12:00",
                     ["2026-10-25 00:00", "2026-10-25 00:30", "2026-10-25 01:00", "2026-10-25 01:30", "2026-10-26 01:00"],
                     id="Berlin, autumn: the hour is there twice"),
        pytest.param("0 * * * *", "Europe/Berlin", "2026-03-29 00:30",
                     ["2026-03-29 01:00", "2026-03-29 02:00"], id="Berlin, spring: a slot at the change itself"),
        pytest.param("*/15 * * * *", "Australia/Lord_Howe", "2026-10-03 15:10",
                     ["2026-10-03 15:15", "2026-10-03 15:30", "2026-10-03 15:45"], id="Lord Howe, spring"),
        pytest.param("*/15 * * * *", "Australia/Lord_Howe", "2026-04-04 14:50",
                     ["2026-04-04 15:00", "2026-04-04 15:15", "2026-04-04 15:30"], id="Lord Howe, autumn"),
        pytest.param("0 * * * *", "Pacific/Apia", "2011-12-30 08:30",
                     ["2011-12-30 09:00", "2011-12-30 10:00", "2011-12-30 11:00"], id="Apia, over the day that never was"),
    ],
)  # fmt: skip
def test_a_wildcard_follows_elapsed_time(expression, timezone, after, expected):
    assert runs(expression, timezone, after, len(expected)) == expected


def test_whether_a_time_is_fixed_is_said_by_how_minute_and_hour_begin():
    fixed = {
        text: parse(text).fixed_time
        for text in ("0 2 * * *", "0,30 1-3 * * *", "*/5 2 * * *", "0 */2 * * *", "0 * * * *")
    }

    assert fixed == {
        "0 2 * * *": True,
        "0,30 1-3 * * *": True,
        "*/5 2 * * *": False,
        "0 */2 * * *": False,
        "0 * * * *": False,
    }


@settings(deadline=None)
@given(
    expression=st.sampled_from(
        ["*/7 * * * *", "30 2 * * *", "0 0 * * 0", "15 */3 * * *", "0 1,2,3 * * *", "59 23 31 * *"]
    ),
    timezone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    after=st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),
)
def test_moments_always_go_forward_and_asking_from_one_gives_the_next(expression, timezone, after):
    cron, place = parse(expression), zone(timezone)

    moments = list(islice(upcoming(cron, place, after), 4))

    assert after < moments[0] < moments[1] < moments[2] < moments[3]
    assert [next_after(cron, place, moment) for moment in moments[:3]] == moments[1:]
    assert {(moment.second, moment.microsecond) for moment in moments} == {(0, 0)}


# --- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "has 0 fields"),
        ("* * * *", "has 4 fields"),
        ("0 0 0 12 * * *", "has 7 fields"),
        ("60 * * * * *", "field second: values are from 0 to 59"),
        ("@reboot", "is not known"),
        ("60 * * * *", "values are from 0 to 59"),
        ("* 24 * * *", "values are from 0 to 23"),
        ("* * 0 * *", "values are from 1 to 31"),
        ("* * 32 * *", "values are from 1 to 31"),
        ("* * * 13 *", "values are from 1 to 12"),
        ("* * * * 8", "values are from 0 to 7"),
        ("*/0 * * * *", "a step is from 1 to 59"),
        ("*/90 * * * *", "a step is from 1 to 59"),
        ("30-10 * * * *", "a range goes upwards"),
        ("* * * * FRI-MON", "a range goes upwards"),
        ("R * * * *", "is no value of the field minute"),
        ("* * L * *", "is no value of the field day of month"),
        ("* * * * 5#2", "is not understood"),
        ("* * ? * *", "is not understood"),
        ("1,,2 * * * *", "is not understood"),
        ("-5 * * * *", "is not understood"),
        ("H(0-5) * * * *", "is not understood"),
        ("\uff15 * * * *", "is no value of the field minute"),
        ("0 0 jan * *", "is no value of the field day of month"),
        ("0 0 30 2 *", "there is no such day"),
        ("0 0 31 4,6,9,11 *", "there is no such day"),
        ("0," * 150 + "0 * * * *", "at most 200"),
    ],
)
def test_an_expression_that_is_not_understood_is_refused_with_the_reason(text, told):
    with pytest.raises(BadInput) as refusal:
        parse(text)

    assert told in str(refusal.value)
    assert refusal.value.field == "cronExpression"


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "europe/berlin", "../etc/passwd", "Europe", "UTC+2"])
def test_a_zone_that_is_none_is_refused(name):
    with pytest.raises(BadInput) as refusal:
        zone(name)

    assert refusal.value.field == "timezone"


def test_every_alias_is_a_good_expression():
    assert {alias: parse(alias).expression for alias in ALIASES} == ALIASES
