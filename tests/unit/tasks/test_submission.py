"""From a request to a task that can be stored, or to an error that names the field."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from dtq_site.foundation.errors import BadInput, PayloadTooLarge
from tasks.domain.lease import WhenLost
from tasks.domain.submission import Defaults, Request, TaskSpec, make_spec, resolve_name
from tests.support.factories import START, after

SILENT = Defaults(None, None, None, None)


def checked(defaults: Defaults = SILENT, **fields) -> TaskSpec:
    return make_spec(Request(**fields), "job", defaults, START, max_json_bytes=1024)


def test_a_silent_request_gets_the_built_in_defaults():
    assert checked() == TaskSpec(
        name="job",
        title="job",
        description="",
        payload={},
        queue="default",
        priority=5,
        max_retries=0,
        timeout_seconds=3600,
    )


def test_a_request_s_own_values_go_before_the_defaults():
    spec = checked(Defaults("mail", "LOW", 9, 5.0), queue="images", priority="high", max_retries=0, timeout_seconds=1.5)

    assert (spec.queue, spec.priority, spec.max_retries, spec.timeout_seconds) == ("images", 10, 0, 1.5)


def test_defaults_fill_what_the_request_leaves_open():
    spec = checked(Defaults("mail", "LOW", 9, 5.0))

    assert (spec.queue, spec.priority, spec.max_retries, spec.timeout_seconds) == ("mail", 1, 9, 5.0)


def test_what_becomes_of_a_lost_task_is_said_in_any_case_by_the_request_or_its_handler():
    declared = replace(SILENT, when_lost="hold")

    assert [checked().when_lost, checked(declared).when_lost] == [WhenLost.REASSIGN, WhenLost.HOLD]
    assert checked(declared, when_lost="Reassign").when_lost is WhenLost.REASSIGN
    with pytest.raises(BadInput) as refused:
        checked(when_lost="forget")
    assert refused.value.field == "whenLost"


def test_defaults_are_completed_one_by_one():
    assert Defaults("mail", None, 0, None).over(Defaults("other", 7, 3, 60)) == Defaults("mail", 7, 0, 60)


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (Request(name=" send-email "), "send-email"),
        (Request(name="a", payload={"type": "b"}, title="c"), "a"),
        (Request(payload={"type": "b.v2:x"}, title="c"), "b.v2:x"),
        (Request(title="Process the Video!"), "process-the-video"),
        (Request(title="  -- Ünïcode 7 --"), "n-code-7"),
        (Request(title="x" * 150), "x" * 100),
    ],
)
def test_the_name_is_given_or_the_payload_s_type_or_the_title_s_slug(request_, name):
    assert resolve_name(request_) == name


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (Request(), "name"),
        (Request(title="???"), "name"),
        (Request(name=""), "name"),
        (Request(name="two words"), "name"),
        (Request(name="-x"), "name"),
        (Request(name="x" * 101), "name"),
        (Request(name="x\n"), None),
        (Request(payload={"type": ""}), "payload.type"),
        (Request(payload={"type": 7}), "payload.type"),
        (Request(payload=[1]), "name"),
    ],
)
def test_a_name_that_may_be_none_is_refused(request_, field):
    if field is None:  # blanks around it are taken off
        assert resolve_name(request_) == "x"
        return

    with pytest.raises(BadInput) as refusal:
        resolve_name(request_)

    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"title": "x" * 201}, "title"),
        ({"title": "half \ud800"}, "title"),
        ({"title": "nul \0"}, "title"),
        ({"description": "x" * 10_001}, "description"),
        ({"description": "half \udfff"}, "description"),
        ({"payload": [1]}, "payload"),
        ({"payload": "text"}, "payload"),
        ({"payload": {"x": float("nan")}}, "payload"),
        ({"payload": {1: "x"}}, "payload"),
        ({"payload": {"x": "\ud800"}}, "payload"),
        ({"payload": {"x": object()}}, "payload"),
        ({"payload": {"x": json.loads("[" * 30 + "]" * 30)}}, "payload"),
        ({"queue": ""}, "queue"),
        ({"queue": "a:b"}, "queue"),
        ({"queue": "x" * 65}, "queue"),
        ({"priority": 101}, "priority"),
        ({"priority": "soon"}, "priority"),
        ({"max_retries": -1}, "maxRetries"),
        ({"max_retries": 1001}, "maxRetries"),
        ({"timeout_seconds": 0}, "timeoutSeconds"),
        ({"timeout_seconds": -1}, "timeoutSeconds"),
        ({"timeout_seconds": float("nan")}, "timeoutSeconds"),
        ({"timeout_seconds": 30 * 86400 + 1}, "timeoutSeconds"),
        ({"delay_seconds": -1}, "delaySeconds"),
        ({"delay_seconds": float("nan")}, "delaySeconds"),
        ({"delay_seconds": float("inf")}, "delaySeconds"),
        ({"delay_seconds": 3661 * 86400}, "delaySeconds"),
        ({"scheduled_at": START, "delay_seconds": 1}, "delaySeconds"),
        ({"scheduled_at": START + timedelta(days=3661)}, "scheduledAt"),
        ({"scheduled_at": datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))}, "scheduledAt"),
        ({"idempotency_key": ""}, "idempotencyKey"),
        ({"idempotency_key": "k" * 256}, "idempotencyKey"),
        ({"idempotency_key": "schedule:7"}, "idempotencyKey"),
        ({"idempotency_key": "half \ud800"}, "idempotencyKey"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_field(fields, field):
    with pytest.raises(BadInput) as refusal:
        checked(**fields)

    assert refusal.value.field == field
    assert refusal.value.message


def test_a_payload_beyond_the_limit_is_refused_with_both_sizes():
    with pytest.raises(PayloadTooLarge) as refusal:
        checked(payload={"x": "y" * 1024})

    assert refusal.value.field == "payload"
    assert "1,032 bytes" in refusal.value.message and "1,024" in refusal.value.message


def test_a_payload_of_just_the_limit_is_taken():
    assert len(checked(payload={"x": "y" * 1016}).payload["x"]) == 1016


def test_no_payload_is_an_empty_one():
    assert checked(payload=None).payload == {}


def test_a_delay_counts_from_now():
    assert checked(delay_seconds=90).scheduled_at == after(90)


def test_a_moment_is_kept_in_utc_and_one_without_a_zone_is_taken_as_utc():
    two_hours_east = timezone(timedelta(hours=2))

    assert checked(scheduled_at=datetime(2030, 1, 1, 15, tzinfo=two_hours_east)).scheduled_at == after(3600)
    assert checked(scheduled_at=datetime(2030, 1, 1, 13)).scheduled_at == after(3600)
    assert checked(scheduled_at=datetime(2030, 1, 1, 15, tzinfo=two_hours_east)).scheduled_at.tzinfo is UTC


def test_an_error_can_be_named_from_its_parent_on():
    error = BadInput("no", field="payload", hint=1)

    within = error.within("inputs[3]")

    assert (type(within), within.field, within.message, within.details) == (
        BadInput,
        "inputs[3].payload",
        "no",
        {"hint": 1},
    )
    assert BadInput("no").within("inputs[3]").field == "inputs[3]"


def test_a_title_is_trimmed_and_stands_in_for_nothing_else():
    assert checked(title="  Weekly report ").title == "Weekly report"
    assert checked(title="   ").title == "job"
    assert replace(checked(title="x"), title="job") == checked()
