"""The pages of documentation as tests read them: their blocks, and the commands of the project that they show."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from tests.support.sources import ROOT

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
SHELL = ("bash", "sh")
RUNNABLE = "runnable"
"""The second word of a block's first line, if the block can be run as it stands beside a server and a worker."""

_BLOCK = re.compile(r"^(?P<indent> *)```(?P<said>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_MENTION = re.compile(r"`((?:python )?manage\.py [^`]+|make [a-z][^`]*|dtq-[a-z-]+(?: [^`]+)?)`")
_HERE_DOCUMENT = re.compile(r"<<'(\w+)'(.*?)\n.*?^\1$", re.MULTILINE | re.DOTALL)
_BETWEEN_COMMANDS = set(";|&()")
_SCRIPTS = ("dtq-worker", "dtq-worker-store", "dtq-healthcheck")


@dataclass(frozen=True)
class Block:
    """Some lines of a page in another language."""

    page: str
    line: int
    language: str
    runnable: bool
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A command of the project with its arguments. `program` is ``manage.py``, ``make`` or one of the scripts."""

    place: str
    program: str
    arguments: tuple[str, ...]
    whole: bool
    """Whether it could be typed like that, or is merely mentioned."""

    def __str__(self) -> str:
        return f"{self.place} {self.program} {' '.join(self.arguments)}"


def blocks(*languages: str) -> list[Block]:
    """The blocks of all pages in one of these languages, or of any."""
    found = [block for page in PAGES for block in _blocks_of(page)]
    return [block for block in found if not languages or block.language in languages]


def commands() -> list[Command]:
    """Every command of the project in the shell blocks of all pages, and every one that a sentence mentions."""
    typed = [command for block in blocks(*SHELL) for command in _commands_in(str(block), block.text, whole=True)]
    return typed + [command for page in PAGES for command in _mentions_in(page)]


def prose(page: Path) -> str:
    """The text of a page without its blocks."""
    return _BLOCK.sub("", page.read_text())


def name_of(page: Path) -> str:
    """How tests name a page."""
    return str(page.relative_to(ROOT))


def _blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for match in _BLOCK.finditer(text):
        language, *said = match["said"].split() or [""]
        line = text.count("\n", 0, match.start()) + 1
        yield Block(name_of(page), line, language, RUNNABLE in said, dedent(match["text"]))


def _mentions_in(page: Path) -> Iterator[Command]:
    for mention in _MENTION.findall(prose(page)):
        yield from _commands_in(name_of(page), mention.replace("\n", " "), whole=False)


def _commands_in(place: str, text: str, *, whole: bool) -> Iterator[Command]:
    for words in _simple_commands(_HERE_DOCUMENT.sub(r"\2", text).replace("\\\n", " ")):
        found = _of_the_project(words)
        if found is not None:
            program, arguments = found
            yield Command(place, program, tuple(arguments), whole and "…" not in " ".join(arguments))


def _of_the_project(words: list[str]) -> tuple[str, list[str]] | None:
    """The program and its arguments; what comes before it, such as ``docker compose exec api``, is not ours."""
    names = [Path(word).name for word in words]
    for place, name in enumerate(names):
        if name in ("manage.py", *_SCRIPTS) or (name == "make" and place == 0):
            return name, _without_redirections(words[place + 1 :])
    return None


def _without_redirections(words: list[str]) -> list[str]:
    ends = next((place for place, word in enumerate(words) if set(word) <= set("<>")), len(words))
    return words[:ends]


def _simple_commands(text: str) -> Iterator[list[str]]:
    """The words of each command of a shell text. What stands in quotes is a word; assignments before a command are left out."""
    line = ""
    for part in text.splitlines():
        line = f"{line}\n{part}" if line else part
        lexer = shlex.shlex(re.sub(r"(^|\s)#.*", r"\1", line), posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        lexer.commenters = ""
        try:
            words = list(lexer)
        except ValueError:  # within quotes that end on a later line
            continue
        line = ""
        yield from _parted(words)


def _parted(words: list[str]) -> Iterator[list[str]]:
    command: list[str] = []
    for word in [*words, ";"]:
        if word and set(word) <= _BETWEEN_COMMANDS:
            if command:
                yield command
            command = []
        elif command or not re.match(r"\w+=", word):
            command.append(word)
