"""The settings' pages are what the declarations say, and every declaration has its place in them."""

from __future__ import annotations

import importlib

import pytest
from django.core.management import call_command

from dtq_site import configuration
from dtq_site.foundation.options import declarations
from tests.support.sources import PACKAGES, ROOT

PAGES = {"--markdown": "docs/CONFIGURATION.md", "--env": ".env.example"}


@pytest.mark.parametrize("form", PAGES)
def test_a_page_is_up_to_date(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("configuration", form)

    assert (ROOT / PAGES[form]).read_text() == capsys.readouterr().out, "run `make configuration`"


def test_every_declared_setting_is_listed_once() -> None:
    paths = [
        path for package in PACKAGES for path in (ROOT / package).rglob("options.py") if "foundation" not in path.parts
    ]
    modules = [importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts)) for path in paths]
    declared = [
        name
        for module in modules
        for cls in vars(module).values()
        if isinstance(cls, type) and cls.__module__ == module.__name__
        for declaration in declarations(cls)
        for name in declaration.variables + declaration.file_variables
    ]

    assert len(declared) == len(set(declared))
    assert sorted(configuration.variables()) == sorted(declared)


@pytest.mark.parametrize("form", PAGES)
def test_no_page_shows_a_secret(form: str) -> None:
    text = (ROOT / PAGES[form]).read_text()

    for _, cls in configuration.SECTIONS:
        for declaration in declarations(cls):
            assert not (declaration.secret and declaration.default)
            assert declaration.variables[0] in text
