"""Discovery imports what is there, passes over what is not, and tells broken from absent."""

from __future__ import annotations

import sys

import pytest

from tasks.handling.discovery import discover
from tasks.handling.errors import HandlersNotLoaded
from tasks.handling.registry import registered

HANDLER = "from tasks import task\n@task({name!r})\ndef handler(): ...\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes modules that can be imported until the test ends."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write(path: str, source: str = "") -> None:
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source)

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_apps_come_before_modules_and_an_app_without_handlers_is_fine(write):
    write("discovered_shop/__init__.py")
    write("discovered_shop/handlers.py", HANDLER.format(name="sell"))
    write("discovered_plain/__init__.py")
    write("discovered_extra.py", HANDLER.format(name="extra"))

    imported = discover(["discovered_plain", "discovered_shop"], ["discovered_extra"])

    assert imported == ["discovered_shop.handlers", "discovered_extra"]
    assert list(registered()) == ["sell", "extra"]


def test_an_app_whose_handlers_fail_is_not_an_app_without(write):
    write("discovered_broken/__init__.py")
    write("discovered_broken/handlers.py", "import no_such_library\n")

    with pytest.raises(HandlersNotLoaded) as refused:
        discover(["discovered_broken"], [])

    assert refused.value.message == (
        "The handlers in 'discovered_broken.handlers' cannot be loaded: ModuleNotFoundError: "
        "No module named 'no_such_library'. Mend that module, or take it away."
    )
    assert isinstance(refused.value.__cause__, ModuleNotFoundError)


@pytest.mark.parametrize("module", ["no_such_module", "no_such.folder.module", "tasks.no_such_module"])
def test_a_module_that_does_not_exist_names_the_setting(module):
    with pytest.raises(HandlersNotLoaded) as refused:
        discover([], [module])

    assert refused.value.message == (
        f"DTQ_HANDLERS names {module!r}, and there is no such module. Write its dotted name, such as "
        "docs.examples.thumbnails, and see that its folder is on PYTHONPATH."
    )


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("from tasks import no_such_name", "ImportError: cannot import name 'no_such_name' from 'tasks'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("from tasks import task\ntask('a', timeout=-1)", "BadDeclaration: @task('a'): timeoutSeconds must be above 0"),
    ],
)
def test_a_module_that_fails_names_the_setting_and_the_error(write, source, error):
    write("discovered_bad.py", source)

    with pytest.raises(HandlersNotLoaded) as refused:
        discover([], ["discovered_bad"])

    assert refused.value.message.startswith(f"The handlers in 'discovered_bad' cannot be loaded: {error}")
    assert refused.value.message.endswith("Mend it, or take it out of DTQ_HANDLERS.")
    assert dict(registered()) == {}
