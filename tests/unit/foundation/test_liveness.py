"""The file by which a process without a port says that it is alive."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dtq_site.foundation import liveness
from dtq_site.foundation.liveness import ALIVE, FRESH_SECONDS, LivenessFile, main, verdict


@pytest.fixture(autouse=True)
def always_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "PERIOD_SECONDS", 0.0)


def unexpected(error: OSError) -> None:
    raise AssertionError(error)


def make_old(path: Path, seconds: float) -> None:
    moment = path.stat().st_mtime - seconds
    os.utime(path, (moment, moment))


def exit_code(path: Path) -> object:
    with pytest.raises(SystemExit) as ended:
        main([str(path)])
    return ended.value.code


def test_a_process_whose_loops_all_turn_is_alive_and_one_that_has_ended_is_not(tmp_path: Path):
    path = tmp_path / "health"
    file = LivenessFile(str(path), unexpected)

    file.refresh(list)

    assert verdict(path) == ALIVE
    main([str(path)])  # ends by itself
    assert [each.name for each in tmp_path.iterdir()] == ["health"]
    file.remove()
    assert exit_code(path) == f"dtq: {path}: No such file or directory"


def test_what_is_stuck_is_named_until_it_turns_again(tmp_path: Path):
    path = tmp_path / "health"
    file = LivenessFile(str(path), unexpected)
    file.refresh(list)

    file.refresh(lambda: ["worker 2", "keeper"])

    assert exit_code(path) == "dtq: stuck: worker 2, keeper"
    file.refresh(list)
    assert verdict(path) == ALIVE


def test_a_file_that_nobody_refreshes_grows_old(tmp_path: Path):
    path = tmp_path / "health"
    file = LivenessFile(str(path), unexpected)
    file.refresh(list)
    make_old(path, FRESH_SECONDS - 2)
    assert verdict(path) == ALIVE

    make_old(path, 4)

    assert "s old: the process is suspended, hangs, or has died" in verdict(path)
    file.refresh(list)
    assert verdict(path) == ALIVE


def test_a_file_that_was_removed_is_made_anew(tmp_path: Path):
    path = tmp_path / "health"
    file = LivenessFile(str(path), unexpected)
    file.refresh(list)
    path.unlink()

    file.refresh(list)

    assert verdict(path) == ALIVE


def test_that_it_cannot_be_written_is_told_once_and_stops_nothing(tmp_path: Path):
    told: list[OSError] = []
    file = LivenessFile(str(tmp_path / "folder" / "health"), told.append)

    file.refresh(list)
    file.refresh(list)

    assert [type(error) for error in told] == [FileNotFoundError]
    (tmp_path / "folder").mkdir()
    file.refresh(list)
    assert verdict(tmp_path / "folder" / "health") == ALIVE


def test_without_a_path_nobody_is_asked():
    def ask() -> list[str]:
        raise AssertionError("asked")

    LivenessFile("", unexpected).refresh(ask)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["one", "two"]])
def test_the_command_says_how_it_is_used(arguments: list[str]):
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert str(ended.value.code).startswith("usage: dtq-healthcheck FILE")
