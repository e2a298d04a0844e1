"""Every subscription that was published works as written."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from accounts.roles import Role
from tests.integration.accounts.making import make_user, sign_in
from tests.integration.graphql import published_operations as published
from tests.integration.graphql.making import finish, make_task
from tests.support.factories import make_team
from tests.support.graphql_socket import GraphQLSocketClient


@pytest.fixture
def client(connect: Callable[[str], GraphQLSocketClient]) -> GraphQLSocketClient:
    make_user("vera", role=Role.VIEWER, team=make_team("red"))
    return connect(sign_in("vera").access_token)


def test_new_tasks_are_followed(client: GraphQLSocketClient):
    followed = client.follow(published.FOLLOW_NEW_TASKS)

    task = make_task("red")

    assert client.next(followed) == {"taskCreated": {"id": str(task.pk), "name": "send-email", "status": "QUEUED"}}


def test_changes_of_status_are_followed(client: GraphQLSocketClient):
    task = make_task("red")
    followed = client.follow(published.FOLLOW_STATUS_CHANGES)

    finish(task)

    shown = [client.next(followed)["taskStatusChanged"]]
    while shown[-1]["status"] != "COMPLETED":  # states that follow each other closely may be shown as one
        shown.append(client.next(followed)["taskStatusChanged"])
    assert {each["id"] for each in shown} == {str(task.pk)}
    assert shown[-1]["completedAt"].endswith("Z")
    assert all(each["completedAt"] is None for each in shown[:-1])


def test_updates_are_followed(client: GraphQLSocketClient):
    followed = client.follow(published.FOLLOW_TASK_UPDATES)

    task = make_task("red", title="Process Video")

    shown = client.next(followed)["taskUpdated"]
    assert (shown["id"], shown["title"], shown["status"]) == (str(task.pk), "Process Video", "QUEUED")
    assert shown["updatedAt"].endswith("Z")
