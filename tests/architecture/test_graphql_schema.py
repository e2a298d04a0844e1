"""The pages about the schema show the schema that the server answers."""

from __future__ import annotations

import pytest
from django.core.management import call_command

from dtq_site.schema import schema
from tests.support.sources import ROOT

PAGES = {"docs/schema.graphql": (), "docs/GRAPHQL-SCHEMA.md": ("--markdown",)}


@pytest.mark.parametrize("page", PAGES)
def test_the_schema_in_the_docs_is_up_to_date(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("graphql_schema", *PAGES[page])

    assert (ROOT / page).read_text() == capsys.readouterr().out, "run `make schema`"


def test_the_page_has_a_section_for_each_operation_and_type() -> None:
    roots = (schema.query, schema.mutation, schema.subscription)
    operations = {name for root in roots for name in schema.graphql_schema.type_map[root._meta.name].fields}
    hidden = {"Boolean", "Float", "ID", "Int", "String", *(root._meta.name for root in roots)}
    types = {name for name in schema.graphql_schema.type_map if not name.startswith("__")} - hidden

    sections = [
        line[4:] for line in (ROOT / "docs/GRAPHQL-SCHEMA.md").read_text().splitlines() if line.startswith("### ")
    ]

    assert sorted(sections) == sorted(operations | types)
