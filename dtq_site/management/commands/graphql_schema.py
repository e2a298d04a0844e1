"""`manage.py graphql_schema`: the schema as text, for docs/schema.graphql and for tools of clients."""

from typing import Any

from django.core.management.base import BaseCommand
from graphql import print_schema

from dtq_site.schema import schema


class Command(BaseCommand):
    """Takes the place of graphene-django's command of that name, which wants an output file."""

    help = "Print the GraphQL schema in its definition language."

    def handle(self, *args: Any, **options: Any) -> str:
        """Return the text, which Django prints."""
        return print_schema(schema.graphql_schema)
