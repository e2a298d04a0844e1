"""`manage.py graphql_schema`: the schema for tools of clients, docs/schema.graphql; or for people, docs/GRAPHQL-SCHEMA.md."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from graphql import print_schema

from dtq_site import schema_page
from dtq_site.prices import PRICES
from dtq_site.schema import schema


class Command(BaseCommand):
    """Takes the place of graphene-django's command of that name, which wants an output file."""

    help = "Print the GraphQL schema in its definition language, or as a page for people (--markdown)."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the form."""
        parser.add_argument("--markdown", action="store_true", help="print docs/GRAPHQL-SCHEMA.md instead")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print it."""
        if options["markdown"]:
            self.stdout.write(schema_page.markdown(schema.graphql_schema, PRICES), ending="")
        else:
            self.stdout.write(print_schema(schema.graphql_schema))
