"""docs/TROUBLESHOOTING.md names everything that can go wrong, and nothing that cannot."""

from __future__ import annotations

import ast
import importlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TypeVar

import pytest

from dtq_site.api.protocol import CloseCode
from tasks.domain.reasons import ReasonCode
from tests.support.sources import ROOT, parsed, python_files

LOUD = {"warning", "error", "critical"}
Node = TypeVar("Node", bound=ast.AST)
FAILURE = re.compile(r"[a-z_]+\.failed")


def named(heading: str) -> list[str]:
    """What stands in the first column of the page's tables with that heading."""
    cells: list[str] = []
    column = ""
    for line in (ROOT / "docs/TROUBLESHOOTING.md").read_text().splitlines():
        first = line.split("|")[1].strip() if line.startswith("|") else ""
        if not first:
            column = ""
        elif not column:
            column = first
        elif column == heading:
            cells += re.findall(r"`([^`]+)`", first)
    return cells


@cache
def trees() -> dict[Path, ast.Module]:
    """The syntax tree of every file of the product."""
    return {path: parsed(path) for path in python_files()}


def nodes(kind: type[Node]) -> Iterator[Node]:
    """Every node of a kind."""
    return (node for tree in trees().values() for node in ast.walk(tree) if isinstance(node, kind))


def codes() -> set[str]:
    """The codes of all errors that the code declares."""
    return {
        statement.value.value
        for declared in nodes(ast.ClassDef)
        for statement in declared.body
        if isinstance(statement, ast.Assign)
        and [getattr(target, "id", "") for target in statement.targets] == ["code"]
        and isinstance(statement.value, ast.Constant)
    }


def checks() -> set[str]:
    """The ids of all system checks that the code names."""
    ids = (keyword.value for call in nodes(ast.Call) for keyword in call.keywords if keyword.arg == "id")
    constants = (value.value for value in ids if isinstance(value, ast.Constant))
    return {text for text in constants if re.fullmatch(r"\w+\.[EW]\d{3}", str(text))}


@cache
def texts() -> Counter[str]:
    """Every string in the code, and how often."""
    return Counter(node.value for node in nodes(ast.Constant) if isinstance(node.value, str))


def declared_levels() -> Iterator[tuple[str, str]]:
    """What is passed to `log_events`: the level of an event."""
    for path, tree in trees().items():
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "log_events" and len(call.args) == 2:
                levels = call.args[1]
                module = importlib.import_module(".".join(path.with_suffix("").parts))
                yield from (
                    vars(module)[levels.id] if isinstance(levels, ast.Name) else ast.literal_eval(levels)
                ).items()


def loud_events() -> dict[str, str]:
    """The events that are written as a warning or worse, with their levels; a failure is an error unless it says otherwise."""
    failures = {text: "error" for text in texts() if FAILURE.fullmatch(text)}
    return {event: level for event, level in (failures | dict(declared_levels())).items() if level in LOUD}


@pytest.mark.parametrize(
    ("heading", "known"),
    [
        ("code", codes),
        ("event", loud_events),
        ("check", checks),
        ("reason", lambda: ReasonCode),
        ("closed with", lambda: [str(int(code)) for code in CloseCode]),
    ],
    ids=["error codes", "events", "checks", "reasons", "close codes"],
)
def test_the_page_names_each_once(heading: str, known: Callable[[], Iterable[str]]):
    assert sorted(named(heading)) == sorted(known())


def test_the_page_names_the_levels_of_events():
    rows = re.findall(r"^\| ((?:`[a-z_.]+`(?:, )?)+) \| (\w+) \|", (ROOT / "docs/TROUBLESHOOTING.md").read_text(), re.M)

    told = {event: level for events, level in rows for event in re.findall(r"`([^`]+)`", events)}

    assert told == loud_events()


def test_each_event_that_has_a_level_is_emitted_somewhere():
    assert [event for event in loud_events() if not FAILURE.fullmatch(event) and texts()[event] < 2] == []
