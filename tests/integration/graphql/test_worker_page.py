"""docs/REMOTE-WORKERS.md says of the operations for workers what is so."""

from __future__ import annotations

import re
from typing import Any

from graphene.utils.str_converters import to_camel_case

from dtq_site.schema import schema
from tests.support.sources import ROOT
from workers.graphql.inputs import LONGEST_WAIT_SECONDS, MOST_CLAIMED, MOST_ITEMS
from workers.graphql.mutations import WorkersMutation
from workers.remote import UNCONFIRMED_LEASE


def test_the_page_about_remote_workers_names_each_operation_with_its_arguments_and_its_limits():
    page = (ROOT / "docs/REMOTE-WORKERS.md").read_text()
    written = {name: arguments.split(", ") for name, arguments in re.findall(r"^\| `(\w+)\((.*?)\)` \|", page, re.M)}
    fields = {name: list(_fields(root)[name].args) for root in ("Query", "Mutation") for name in FOR_WORKERS[root]}

    assert written == fields
    assert (f"{LONGEST_WAIT_SECONDS} at most" in page, f"`limit` is {MOST_CLAIMED} at most" in page) == (True, True)
    assert f"have {MOST_ITEMS:,} items at most" in page
    assert f"{UNCONFIRMED_LEASE.seconds} seconds at most" in page


def _fields(root: str) -> dict[str, Any]:
    return schema.graphql_schema.type_map[root].fields


FOR_WORKERS = {"Query": ["parentResults"], "Mutation": list(map(to_camel_case, WorkersMutation._meta.fields))}
