"""Declarations travel as JSON between processes of different versions."""

from __future__ import annotations

import pytest

from tasks.handling.declaration import Declaration
from tasks.handling.errors import BadDeclaration


def test_a_declaration_survives_the_way_through_json():
    full = Declaration(queue="mail", priority=-100, max_retries=0, timeout_seconds=0.5, lock="report:{account}")

    assert full.to_json() == {
        "queue": "mail", "priority": -100, "max_retries": 0, "timeout_seconds": 0.5, "lock": "report:{account}",
    }  # fmt: skip
    assert Declaration.from_json(full.to_json()) == full
    assert Declaration().to_json() == {}
    assert Declaration.from_json({}) == Declaration()


def test_keys_of_a_newer_version_are_passed_over():
    assert Declaration.from_json({"queue": "mail", "colour": "red"}) == Declaration(queue="mail")


def test_a_levels_name_becomes_its_number():
    assert Declaration(priority="critical").priority == 20


def test_a_declaration_completes_itself_from_the_settings():
    settings = Declaration(queue="default", priority=5, max_retries=3, timeout_seconds=3600)

    completed = Declaration(max_retries=0, lock="backup").over(settings)

    assert vars(completed) == {
        "queue": "default", "priority": 5, "max_retries": 0, "timeout_seconds": 3600, "lock": "backup",
        "when_lost": None, "rate": None, "burst": None, "max_running": None, "per": None,
    }  # fmt: skip


def test_limits_travel_too():
    limits = Declaration(rate=" 100/m", burst=20, max_running=5, per="{account}")

    assert limits.to_json() == {"rate": "100/m", "burst": 20, "max_running": 5, "per": "{account}"}
    assert Declaration.from_json(limits.to_json()) == limits


@pytest.mark.parametrize(
    ("limits", "field", "message"),
    [
        ({"rate": "often"}, "rate", "'often' is no rate: write one such as \"100/m\"; s, m, h and d are units."),
        ({"rate": 5}, "rate", "rate must be text, not 5."),
        ({"rate": "1/s", "burst": 0}, "burst", "burst must be from 1 to 100,000, not 0."),
        ({"burst": 5}, "burst", "burst says nothing without a rate; give one, or leave burst out."),
        ({"max_running": 0}, "maxRunning", "maxRunning must be from 1 to 100,000, not 0."),
        ({"max_running": True}, "maxRunning", "maxRunning must be a whole number, not True."),
        ({"per": ""}, "per", "A key's name must have 1 to 255 characters, not 0."),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(limits, field, message):
    with pytest.raises(BadDeclaration) as refused:
        Declaration(**limits)

    assert (refused.value.field, refused.value.message) == (field, message)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "A declaration is a JSON object, not []."),
        ({"timeout_seconds": "soon"}, "timeoutSeconds must be a number, not 'soon'."),
        ({"max_retries": 5000}, "maxRetries must be from 0 to 1000, not 5000."),
        ({"lock": 7}, "lock must be text, not 7."),
        ({"lock": ""}, "A lock's name must have 1 to 255 characters, not 0."),
    ],
)
def test_a_foreign_declaration_is_checked(value, message):
    with pytest.raises(BadDeclaration) as refused:
        Declaration.from_json(value)

    assert refused.value.message == message
    assert refused.value.code == "BAD_USER_INPUT"
