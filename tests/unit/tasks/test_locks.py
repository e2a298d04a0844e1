"""Templates of locks, the names that they make, and their numbers."""

from __future__ import annotations

import pytest

from dtq_site.foundation.errors import BadInput
from tasks.domain.locks import LOCK_NAMES, next_fencing_number


@pytest.mark.parametrize(
    ("template", "payload", "name"),
    [
        ("backup", {}, "backup"),
        ("report:{account}", {"account": "ann"}, "report:ann"),
        ("{a}-{b}", {"a": "", "b": -7}, "--7"),
        ("{{{a}}}", {"a": "Ä "}, "{Ä }"),
        ("{a}", {"a": "x" * 255}, "x" * 255),
    ],
)
def test_a_template_is_filled_from_the_payload(template, payload, name):
    assert LOCK_NAMES.check_template(template) == template
    assert LOCK_NAMES.fill(template, payload) == name


def test_the_keys_of_a_template_are_told_in_order():
    assert LOCK_NAMES.keys_of("{b}:{{x}}:{a}:{b}") == ["b", "a", "b"]


@pytest.mark.parametrize("template", ["{", "}", "{}", "{0}", "{a.b}", "{a[0]}", "{a!r}", "{a:>3}", "{a b}"])
def test_what_is_no_template_is_refused_with_a_remedy(template):
    with pytest.raises(BadInput, match='as in "report:{account}"') as refused:
        LOCK_NAMES.check_template(template)

    assert refused.value.field == "lock"


@pytest.mark.parametrize(
    ("payload", "fault"),
    [
        ({}, "the payload has none"),
        ({"a": None}, "it must be text or a whole number, not None"),
        ({"a": True}, "it must be text or a whole number, not True"),
        ({"a": 1.5}, "it must be text or a whole number, not 1.5"),
        ({"a": ["x"]}, "it must be text or a whole number, not ['x']"),
    ],
)
def test_a_payload_that_cannot_fill_it_is_refused_naming_the_key(payload, fault):
    with pytest.raises(BadInput) as refused:
        LOCK_NAMES.fill("{a}", payload)

    assert (refused.value.message, refused.value.field) == (f"The lock '{{a}}' needs 'a': {fault}.", "payload.a")


@pytest.mark.parametrize("value", ["", "x" * 256, "a\0b", "\ud800"])
def test_a_name_that_cannot_be_stored_is_refused(value):
    with pytest.raises(BadInput) as direct:
        LOCK_NAMES.check_name(value)
    with pytest.raises(BadInput) as filled:
        LOCK_NAMES.fill("{a}", {"a": value})

    assert (direct.value.field, filled.value.field) == ("lock", "payload.a")


def test_numbers_grow_though_a_lock_was_forgotten_or_the_clock_went_back():
    assert next_fencing_number(0, 1_000) == 1_000
    assert next_fencing_number(1_000, 1_000) == 1_001
    assert next_fencing_number(1_001, 500) == 1_002
