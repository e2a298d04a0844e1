"""What the pages show exists: each block is of its language, each command, option, target and setting is one of ours."""

from __future__ import annotations

import ast
import io
import json
import re
import tomllib
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class
from graphql import parse, validate

from dtq_site import configuration, remote_worker
from dtq_site.schema import schema
from tests.support.pages import PAGES, Block, Command, blocks, commands, name_of
from tests.support.sources import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMPOSE = sorted((ROOT / "docker").glob("docker-compose*.yml"))
SCRIPTS = {"dtq-worker": remote_worker.main, "dtq-worker-store": remote_worker.show_store}


@pytest.mark.parametrize("block", blocks(), ids=str)
def test_a_block_names_its_language(block: Block):
    assert block.language, "write ```text above a drawing"


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_a_block_of_json_is_json(block: Block):
    json.loads(block.text)


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_a_block_of_python_is_python(block: Block):
    ast.parse(block.text)


@pytest.mark.parametrize("block", blocks("graphql"), ids=str)
def test_an_operation_fits_the_schema(block: Block):
    assert validate(schema.graphql_schema, parse(block.text)) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_variable_is_a_setting_or_one_of_the_compose_files(page: Path):
    named = set(re.findall(r"\bDTQ_[A-Z]\w*[A-Z]\b", page.read_text()))
    composed = {name for path in COMPOSE for name in re.findall(r"\$\{(\w+)", path.read_text())}

    assert sorted(named - set(configuration.variables()) - composed) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_an_extra_is_declared(page: Path):
    named = {
        extra for extras in re.findall(r"(?:\.|\bdtq)\[([a-z,]+)\]", page.read_text()) for extra in extras.split(",")
    }

    assert sorted(named - set(PROJECT["optional-dependencies"])) == []


@pytest.mark.parametrize("command", commands(), ids=str)
def test_a_command_exists_and_takes_what_it_is_given(command: Command):
    programs: dict[str, Callable[[Command], None]] = {"make": check_make, "manage.py": check_manage}

    programs.get(command.program, check_script)(command)


def test_commands_are_found():
    """What the test above is fed with: nothing can be wrong where nothing is found."""
    found = commands()

    assert {"make", "manage.py", "dtq-worker", "dtq-healthcheck"} <= {command.program for command in found}
    assert {"run", "test", "enqueue", "runworker"} <= {command.arguments[0] for command in found if command.arguments}


def check_make(command: Command) -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    used = set(re.findall(r"\$[({](\w+)[)}]", MAKEFILE))
    for argument in command.arguments:
        variable, assigned, _ = argument.partition("=")
        assert (variable in used) if assigned else (argument in targets), argument


def check_manage(command: Command) -> None:
    name, *arguments = command.arguments
    if name == "help":  # of Django's own program, before any command is looked for
        name, *arguments = arguments or ["check"]
    assert name in get_commands(), name
    parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
    known = set(options_of(parser))
    if name == "runworker":  # with --server it is dtq-worker
        known |= options_of_script("dtq-worker")
    assert options_in(arguments) <= known, sorted(known)
    if command.whole and "--server" not in arguments:
        parser.parse_args(arguments)


def check_script(command: Command) -> None:
    assert command.program in PROJECT["scripts"], command.program
    known = options_of_script(command.program) if command.program in SCRIPTS else set()
    assert options_in(command.arguments) <= known, sorted(known)


def options_in(arguments: list[str] | tuple[str, ...]) -> set[str]:
    return {argument.partition("=")[0] for argument in arguments if argument.startswith("-") and argument != "-"}


def options_of(parser: ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, _SubParsersAction):
            for each in action.choices.values():
                yield from options_of(each)


def options_of_script(program: str) -> set[str]:
    with redirect_stdout(io.StringIO()) as told, pytest.raises(SystemExit):
        SCRIPTS[program](["--help"])
    return set(re.findall(r"--[a-z-]+", told.getvalue()))
