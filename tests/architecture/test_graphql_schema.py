"""docs/schema.graphql is the schema that the server answers."""

from __future__ import annotations

import pytest
from django.core.management import call_command

from tests.support.sources import ROOT


def test_the_schema_in_the_docs_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("graphql_schema")

    assert (ROOT / "docs/schema.graphql").read_text() == capsys.readouterr().out, (
        "run `manage.py graphql_schema > docs/schema.graphql`"
    )
