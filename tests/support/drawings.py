"""The parts of the pages that are drawn from the code. `python -m tests.support.drawings` writes them; a test compares.

A page has a drawing where it says `<!-- drawn: NAME -->`; what follows, up to `<!-- end -->`, is written here.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import grimp

from tasks.domain.states import MOVES, TaskStatus
from tests.support.pages import PAGES
from tests.support.sources import PACKAGES, ROOT, python_files
from tests.support.writers import OWNERS

_PLACE = re.compile(
    r"(?P<head><!-- drawn: (?P<name>[\w ]+) -->\n).*?(?P<tail>^<!-- end -->$)", re.MULTILINE | re.DOTALL
)
_FLOOR = "dtq_site.foundation"
_LEFT_OUT = ("migrations", "management", "commands")


def drawn(text: str) -> str:
    """The text of a page with its drawings as the code is now."""
    return _PLACE.sub(lambda place: f"{place['head']}{DRAWINGS[place['name']]()}\n{place['tail']}", text)


def names_in(text: str) -> list[str]:
    """The drawings that a page has."""
    return [place["name"] for place in _PLACE.finditer(text)]


def moves() -> str:
    """Every move between two states, with the verbs that make it."""
    verbs: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for verb, move in MOVES.items():
        for source in sorted(move.sources, key=_place_of) or ["[*]"]:
            for target in sorted(move.targets, key=_place_of) or ["[*]"]:
                if source != target:
                    verbs[source, target].append(verb)
    return _mermaid("stateDiagram-v2", (f"{a} --> {b}: {', '.join(by)}" for (a, b), by in verbs.items()))


def ladder() -> str:
    """Which package imports which."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    arrows = {
        (_storey(module), _storey(imported))
        for module in graph.modules
        for imported in graph.find_modules_directly_imported_by(module)
        if imported != "dtq_site"  # a module of the floor names its own parent
    }
    return _mermaid("flowchart TD", (f"{a} --> {b}" for a, b in sorted(arrows) if a != b))


def packages() -> str:
    """What lives in each package, by the first sentence of its docstring."""
    rows = ["| package | what is in it |", "| --- | --- |"]
    for path in python_files():
        if path.name == "__init__.py" and path.parent.name not in _LEFT_OUT:
            rows.append(f"| `{path.parent}/` | {_first_sentence(path)} |")
    return "\n".join(rows)


def writers() -> str:
    """Whose rows are written by whom."""
    models: defaultdict[str, list[str]] = defaultdict(list)
    for model, module in OWNERS.items():
        models[module].append(f"`{model.partition('.')[2]}`")
    rows = [f"| {', '.join(names)} | `{module}` |" for module, names in models.items()]
    return "\n".join(["| rows of | only writer |", "| --- | --- |", *rows])


DRAWINGS = {"moves": moves, "ladder": ladder, "packages": packages, "writers": writers}


def _mermaid(kind: str, lines: Iterator[str]) -> str:
    return "\n".join(["```mermaid", kind, *(f"    {line}" for line in lines), "```"])


def _place_of(state: TaskStatus) -> int:
    return list(TaskStatus).index(state)


def _storey(module: str) -> str:
    return _FLOOR if module.startswith(_FLOOR) else module.partition(".")[0]


def _first_sentence(package: Path) -> str:
    told = ast.get_docstring(ast.parse((ROOT / package).read_text())) or ""
    return re.split(r"(?<=\.)\s", " ".join(told.split()), maxsplit=1)[0]


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(drawn(page.read_text()))
