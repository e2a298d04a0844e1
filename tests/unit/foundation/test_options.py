"""Settings are declared once, and a bad value stops the start with its name, the value and the remedy."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from dtq_site.foundation.options import OptionsError, declarations, load, option, parse_duration, show


@dataclass(frozen=True)
class Sample:
    number: int = option(5, env=("NUMBER", "OLD_NUMBER"), minimum=1, maximum=10, help="a number.")
    share: float = option(0.5, env="SHARE", minimum=0.0, help="a share.")
    flag: bool = option(False, env="FLAG", help="a flag.")
    length: timedelta = option(
        timedelta(seconds=15), env="LENGTH", minimum=timedelta(seconds=3), maximum=timedelta(days=1), help="a length."
    )
    words: tuple[str, ...] = option((), env="WORDS", help="words.")
    level: str = option("info", env="LEVEL", choices=("info", "debug"), help="a level.")
    key: str = option("", env="KEY", minimum=8, secret=True, help="a key.")


def test_an_empty_environment_leaves_every_default():
    assert load(Sample, {}) == Sample()
    assert load(Sample, {"NUMBER": "", "LENGTH": "  "}) == Sample()


def test_every_kind_is_read():
    loaded = load(
        Sample,
        {
            "NUMBER": " 7 ",
            "SHARE": "1e-3",
            "FLAG": "Yes",
            "LENGTH": "2h",
            "WORDS": "a, b,,c",
            "LEVEL": "debug",
            "KEY": "longenough",
        },
    )

    assert loaded == Sample(7, 0.001, True, timedelta(hours=2), ("a", "b", "c"), "debug", "longenough")


def test_the_preferred_variable_goes_before_the_older_one():
    assert load(Sample, {"OLD_NUMBER": "3"}).number == 3
    assert load(Sample, {"OLD_NUMBER": "3", "NUMBER": "4"}).number == 4
    assert load(Sample, {"OLD_NUMBER": "3", "NUMBER": ""}).number == 3


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("NUMBER", "0", "NUMBER='0' is not allowed: it must be at least 1. It is a number."),
        ("OLD_NUMBER", "11", "OLD_NUMBER='11' is not allowed: it must be at most 10. It is a number."),
        ("NUMBER", "many", "NUMBER='many' is not allowed: write a whole number. It is a number."),
        ("SHARE", "nan", "SHARE='nan' is not allowed: write a finite number. It is a share."),
        ("SHARE", "-1", "SHARE='-1' is not allowed: it must be at least 0.0. It is a share."),
        ("FLAG", "maybe", "FLAG='maybe' is not allowed: write true or false. It is a flag."),
        ("LENGTH", "2s", "LENGTH='2s' is not allowed: it must be at least 3s. It is a length."),
        ("LENGTH", "25h", "LENGTH='25h' is not allowed: it must be at most 1d. It is a length."),
        (
            "LENGTH",
            "soon",
            "LENGTH='soon' is not allowed: write a number and a unit: 500ms, 30s, 15m, 24h or 1d. It is a length.",
        ),
        ("LEVEL", "loud", "LEVEL='loud' is not allowed: choose one of info, debug. It is a level."),
        ("KEY", "short", "KEY=(hidden) is not allowed: it must be at least 8 characters. It is a key."),
    ],
)
def test_a_bad_value_is_named_with_its_remedy(variable, value, problem):
    with pytest.raises(OptionsError) as refusal:
        load(Sample, {variable: value})

    assert refusal.value.problems == [problem]


def test_a_length_beyond_all_calendars_is_a_bad_value_too():
    with pytest.raises(OptionsError) as refusal:
        load(Sample, {"LENGTH": "99999999999999d"})

    assert refusal.value.problems[0].startswith("LENGTH='99999999999999d' is not allowed: ")


def test_all_bad_values_are_told_at_once():
    with pytest.raises(OptionsError) as refusal:
        load(Sample, {"NUMBER": "x", "FLAG": "x", "LEVEL": "debug"})

    assert [problem.split("=")[0] for problem in refusal.value.problems] == ["NUMBER", "FLAG"]


@pytest.mark.parametrize("text", ["longenough", "longenough\n", " longenough\r\n\n"])
def test_a_secret_may_be_in_a_file(text: str, tmp_path: Path):
    path = tmp_path / "key"
    path.write_text(text)

    loaded = load(Sample, {"KEY_FILE": f" {path} ", "KEY": ""})

    assert loaded == Sample(key="longenough")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "the file cannot be read: No such file or directory"),
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b"\xff\xfe\x00", "the file holds no text"),
        (b"short\n", "it must be at least 8 characters"),
    ],
)
def test_a_bad_file_is_named_and_what_it_holds_is_not(content: bytes | None, problem: str, tmp_path: Path):
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(OptionsError) as refusal:
        load(Sample, {"KEY_FILE": str(path)})

    assert refusal.value.problems == [f"KEY_FILE='{path}' is not allowed: {problem}. It names a file with a key."]


def test_a_folder_is_no_file(tmp_path: Path):
    with pytest.raises(OptionsError) as refusal:
        load(Sample, {"KEY_FILE": str(tmp_path)})

    assert refusal.value.problems[0].startswith(f"KEY_FILE='{tmp_path}' is not allowed: the file cannot be read: ")


def test_a_secret_is_not_both_here_and_in_a_file(tmp_path: Path):
    path = tmp_path / "key"
    path.write_text("longenough")

    with pytest.raises(OptionsError) as refusal:
        load(Sample, {"KEY": "longenough", "KEY_FILE": str(path)})

    assert refusal.value.problems == [
        "KEY=(hidden) is not allowed: KEY_FILE is set too; leave one of them unset. It is a key."
    ]


def test_only_secrets_are_read_from_files(tmp_path: Path):
    path = tmp_path / "number"
    path.write_text("7")

    assert load(Sample, {"NUMBER_FILE": str(path), "LEVEL_FILE": str(path)}) == Sample()
    assert [each.file_variables for each in declarations(Sample) if each.file_variables] == [("KEY_FILE",)]


def test_a_setting_of_its_own_that_names_the_file_is_left_alone(tmp_path: Path):
    @dataclass(frozen=True)
    class WithOwnFile:
        token: str = option("", env="TOKEN", secret=True, help="a token.")
        token_file: str = option("", env="TOKEN_FILE", help="a file that is read again and again.")

    missing = str(tmp_path / "missing")

    assert load(WithOwnFile, {"TOKEN_FILE": missing, "TOKEN": "t"}) == WithOwnFile("t", missing)
    assert [each.file_variables for each in declarations(WithOwnFile)] == [(), ()]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1.5s", 1.5), ("500ms", 0.5), ("15m", 900), ("24h", 86400), ("1d", 86400)]
)
def test_lengths_have_units(text, seconds):
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value", [timedelta(0), timedelta(milliseconds=1500), timedelta(seconds=90), timedelta(hours=1), timedelta(days=30)]
)
def test_what_is_shown_can_be_read_again(value):
    assert parse_duration(show(value)) == value


def test_values_are_shown_as_the_environment_spells_them():
    assert [show(value) for value in (True, ("a", "b"), None, 7, timedelta(minutes=90))] == [
        "true",
        "a,b",
        "",
        "7",
        "90m",
    ]


def test_declarations_tell_field_and_kind_in_order():
    told = [(each.field, each.kind) for each in declarations(Sample)]

    assert told[:2] == [("number", int), ("share", float)] and told[4] == ("words", tuple[str, ...])
