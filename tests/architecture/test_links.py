"""Every link between the pages leads somewhere, and every page can be found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.pages import PAGES, name_of, prose


def targets(page: Path) -> list[tuple[Path, str]]:
    """The files of the project to which a page links, pictures included, each with the section that is meant."""
    text = prose(page)
    links = re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", text) + [
        (file, "") for file in re.findall(r'(?:src|srcset)="([^"]+)"', text)
    ]
    return [((page.parent / file).resolve() if file else page, section) for file, section in links if "://" not in file]


def sections(page: Path) -> set[str]:
    """The names by which links can mean the sections of a page."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_to_files_of_the_project_resolve(page: Path):
    missing = [str(file) for file, _ in targets(page) if not file.exists()]

    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_to_sections_resolve(page: Path):
    wanted = [(file, section) for file, section in targets(page) if section and file.suffix == ".md"]

    missing = [f"{file.name}#{section}" for file, section in wanted if section not in sections(file)]

    assert missing == []


def test_every_page_can_be_reached_from_the_readme():
    found, new = set(), {PAGES[0]}
    while new:
        found |= new
        new = {file for page in new for file, _ in targets(page) if file in PAGES} - found

    assert sorted(name_of(page) for page in set(PAGES) - found if page.parent.name != "adr") == []
