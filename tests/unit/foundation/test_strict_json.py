"""JSON as the standard has it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtq_site.foundation.strict_json import NotJSON, TooLarge, canonical, decode, encode

ITSELF: list = []
ITSELF.append(ITSELF)
DEEP: list = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (2**70, str(2**70)),
        ("grün 🌿", '"grün 🌿"'),
        ({"a": [1, 2.5, True, None]}, '{"a":[1,2.5,true,null]}'),
        ((1, 2), "[1,2]"),
    ],
)
def test_values_are_written_compactly(value, text):
    assert encode(value) == text


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(float("nan"), "it contains NaN", id="nan"),
        pytest.param([float("-inf")], "infinite or too large", id="infinity"),
        pytest.param({1: "x"}, "the key 1 is no text", id="integer key"),
        pytest.param({"a": [{None: 1}]}, "the key None is no text", id="null key"),
        pytest.param({"a": ({True: 1},)}, "the key True is no text", id="boolean key in a tuple"),
        pytest.param(object(), "an object of type object", id="object"),
        pytest.param(b"x", "an object of type bytes", id="bytes"),
        pytest.param("\ud800", "half of a surrogate pair", id="surrogate"),
        pytest.param({"\udfff": 1}, "half of a surrogate pair", id="surrogate key"),
        pytest.param(ITSELF, "contains itself", id="itself"),
        pytest.param(DEEP, "nested too deeply", id="deep"),
        pytest.param(10**5000, "infinite or too large", id="huge integer"),
    ],
)
def test_what_is_no_json_is_refused_with_the_reason(value, reason):
    with pytest.raises(NotJSON, match=reason):
        encode(value)


def test_the_limit_counts_bytes_and_is_inclusive():
    assert encode("ü" * 10, max_bytes=22) == '"' + "ü" * 10 + '"'

    with pytest.raises(TooLarge) as refusal:
        encode("ü" * 10, max_bytes=21)

    assert (refusal.value.size, refusal.value.limit) == (22, 21)
    assert str(refusal.value) == "it takes 22 bytes as JSON; at most 21 are allowed"


@given(st.dictionaries(st.text(), st.integers()))
def test_equal_values_have_equal_canonical_text(value):
    assert canonical(dict(reversed(value.items()))) == canonical(value)


def test_different_values_have_different_canonical_text():
    assert len({canonical(value) for value in (1, 1.0, True, "1", [1], {"1": 1})}) == 6


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, 2.5, "ü", null]}', {"a": [1, 2.5, "ü", None]}),
        ('"ü"'.encode(), "ü"),
        ("9" * 4300, int("9" * 4300)),
        ("9" * 5000, float("inf")),
        ("-" + "9" * 5000, float("-inf")),
        ("1e999", float("inf")),
    ],
)
def test_text_is_read_and_a_number_that_is_too_large_is_infinite(text, value):
    assert decode(text) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Expecting property name"),
        ("[NaN]", "^NaN is no JSON number$"),
        ("-Infinity", "^-Infinity is no JSON number$"),
        ("[" * 100_000, "^it is nested too deeply$"),
        (b'"\xff"', "^it is not in UTF-8$"),
        ('"a"'.encode("utf-16"), "^it is not in UTF-8$"),
    ],
)
def test_what_is_no_json_text_is_refused_with_the_reason(text, reason):
    with pytest.raises(NotJSON, match=reason):
        decode(text)


@pytest.mark.parametrize("wrap", [lambda value: [value], lambda value: {"a": value}], ids=["lists", "objects"])
def test_thirty_levels_are_written_and_one_more_is_refused(wrap):
    value = "core"
    for _ in range(30):
        value = wrap(value)

    assert "core" in encode(value)
    with pytest.raises(NotJSON, match="^it is nested too deeply, or contains itself; at most 30 levels are allowed$"):
        encode(wrap(value))
