"""What the pages draw from the code is what the code says, and each drawing has its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.drawings import DRAWINGS, drawn, names_in
from tests.support.pages import PAGES, name_of


@pytest.mark.parametrize("page", [page for page in PAGES if names_in(page.read_text())], ids=name_of)
def test_the_drawings_of_a_page_are_up_to_date(page: Path):
    assert page.read_text() == drawn(page.read_text()), "run `make drawings`"


def test_each_drawing_has_one_place():
    placed = [name for page in PAGES for name in names_in(page.read_text())]

    assert sorted(placed) == sorted(DRAWINGS)
