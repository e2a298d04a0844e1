"""What a subscription asks of the rows, before any event."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.identity import Identity
from dtq_site.api.context import RequestContext
from dtq_site.api.engine import GraphQLRequest
from dtq_site.api.live_query import LiveQuery
from dtq_site.endpoint import engine
from dtq_site.foundation.database import database_clock
from tasks import versions
from tests.integration.graphql.making import make_task

pytestmark = pytest.mark.django_db


def opened(query: str, identity: Identity) -> LiveQuery:
    context = RequestContext(identity, None, "192.0.2.1", "test", database_clock, None)
    live = engine.open(GraphQLRequest(query, {}), context)
    assert isinstance(live, LiveQuery), live
    return live


def test_large_columns_are_read_with_the_row_if_they_are_selected_and_else_not_at_all(user: Identity):
    task = make_task("red", payload={"to": "ann"})
    live = opened("subscription { taskUpdated { id ...Shown } } fragment Shown on Task { payload error }", user)
    assert live.interest.unselected == {"description", "result"}
    (row,) = versions.tasks_by_id([task.pk], without=live.interest.unselected).values()

    with CaptureQueriesContext(connection) as queries:
        shown = live.show(row)

    assert shown["data"]["taskUpdated"] == {"id": str(task.pk), "payload": {"to": "ann"}, "error": None}
    assert len(queries) == 0
