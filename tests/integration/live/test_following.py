"""Following tasks over a real server: what is shown, to whom, in which order, and that nothing is missed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from accounts.roles import Role
from dtq_site.foundation.database import database_clock
from tasks import lifecycle
from tasks.domain.lease import Lease
from tests.integration.accounts.making import make_user, sign_in
from tests.integration.graphql.making import finish, make_task, start
from tests.support.factories import make_team
from tests.support.graphql_socket import GraphQLSocketClient

Connect = Callable[[str], GraphQLSocketClient]


def token_of(username: str = "ann", team: str = "red", role: Role = Role.USER) -> str:
    make_user(username, role=role, team=make_team(team))
    return sign_in(username).access_token


def test_each_new_task_of_the_team_is_shown(connect: Connect):
    client = connect(token_of())
    followed = client.follow("subscription { taskCreated { id name status payload } }")

    make_task("blue")
    task = make_task("red", payload={"to": "ann"})

    assert client.next(followed) == {
        "taskCreated": {"id": str(task.pk), "name": "send-email", "status": "QUEUED", "payload": {"to": "ann"}}
    }
    assert client.silent()


def test_an_admin_is_shown_the_tasks_of_every_team(connect: Connect):
    client = connect(token_of(team="office", role=Role.ADMIN))
    followed = client.follow("subscription { taskCreated { team { name } } }")

    make_task("blue")

    assert client.next(followed) == {"taskCreated": {"team": {"name": "blue"}}}


@pytest.mark.parametrize(
    ("arguments", "passes"), [('queue: "mail"', {"queue": "mail"}), ('name: "job"', {"name": "job"})]
)
def test_a_filter_lets_only_its_tasks_through(connect: Connect, arguments: str, passes: dict):
    client = connect(token_of())
    followed = client.follow(f"subscription {{ taskUpdated({arguments}) {{ id }} }}")

    make_task("red")
    task = make_task("red", **passes)

    assert client.next(followed) == {"taskUpdated": {"id": str(task.pk)}}
    assert client.silent()


def test_every_move_is_shown_and_creation_is_none(connect: Connect):
    client = connect(token_of())
    followed = client.follow("subscription { taskStatusChanged { id status completedAt } }")

    task = make_task("red")
    assert client.silent()
    finish(task)

    shown = client.until(followed, "taskStatusChanged", "COMPLETED")
    assert {each["id"] for each in shown} == {str(task.pk)}
    assert [each["status"] for each in shown] in (["PROCESSING", "COMPLETED"], ["COMPLETED"])
    assert shown[-1]["completedAt"] is not None
    assert client.silent()


def test_progress_is_an_update_and_no_move(connect: Connect):
    task = start(make_task("red"))
    client = connect(token_of())
    updates = client.follow("subscription { taskUpdated { progress version } }")
    moves = client.follow("subscription { taskStatusChanged { id } }")

    lifecycle.note_progress({Lease(task.pk, task.fencing_token, task.claim_id): 40}, database_clock.now())

    assert client.next(updates) == {"taskUpdated": {"progress": 40, "version": task.version + 1}}
    assert client.silent()
    del moves


def test_the_followed_task_is_shown_from_where_the_client_left_it(connect: Connect):
    task = make_task("red")
    seen = task.version
    finish(task)

    client = connect(token_of())
    followed = client.start(
        "subscription ($id: ID!, $since: Int) { taskUpdated(id: $id, since: $since) { status version } }",
        id=str(task.pk),
        since=seen,
    )

    assert client.next(followed) == {"taskUpdated": {"status": "COMPLETED", "version": seen + 2}}
    assert client.silent()


@pytest.mark.parametrize("field", ["taskUpdated", "taskStatusChanged"])
def test_a_task_that_has_ended_before_is_shown_at_once(connect: Connect, field: str):
    task = finish(make_task("red"))

    client = connect(token_of())
    followed = client.start(f'subscription {{ {field}(id: "{task.pk}") {{ status }} }}')

    assert client.next(followed) == {field: {"status": "COMPLETED"}}


def test_a_task_that_waits_is_shown_when_it_moves(connect: Connect):
    task = make_task("red")
    client = connect(token_of())
    followed = client.follow("subscription ($id: ID!) { taskUpdated(id: $id) { status } }", id=str(task.pk))
    assert client.silent()

    finish(task)

    assert client.until(followed, "taskUpdated", "COMPLETED")


def test_who_follows_a_task_that_is_deleted_is_told_that_no_more_comes(connect: Connect):
    task = finish(make_task("red"))
    client = connect(token_of())
    followed = client.start(f'subscription {{ taskUpdated(id: "{task.pk}") {{ status }} }}')
    client.next(followed)

    lifecycle.delete(task.pk, database_clock.now())

    assert client.receive() == {"id": followed, "type": "complete"}


def test_versions_never_go_back(connect: Connect):
    client = connect(token_of())
    followed = client.follow("subscription { taskUpdated { id version status } }")

    tasks = [finish(make_task("red")) for _ in range(20)]

    shown: dict[str, list[int]] = {}
    ended = set()
    while len(ended) < len(tasks):
        task = client.next(followed)["taskUpdated"]
        shown.setdefault(task["id"], []).append(task["version"])
        ended |= {task["id"]} if task["status"] == "COMPLETED" else set()
    assert [versions for versions in shown.values() if versions != sorted(set(versions))] == []
    assert {id_: versions[-1] for id_, versions in shown.items()} == {str(task.pk): task.version for task in tasks}


def test_what_is_asked_after_a_subscription_on_the_same_socket_is_shown_by_it(connect: Connect):
    client = connect(token_of())
    followed = client.start("subscription { taskCreated { id } }")

    made = client.ask('mutation { createTask(input: { name: "job" }) { id } }')

    assert client.next(followed) == {"taskCreated": made["createTask"]}


# --- refusals ------------------------------------------------------------------------------------------------------


def test_a_task_of_another_team_cannot_be_followed(connect: Connect):
    task = make_task("blue")
    client = connect(token_of())

    refused = client.start(f'subscription {{ taskUpdated(id: "{task.pk}") {{ id }} }}')

    assert [error["extensions"]["code"] for error in client.refusal(refused)] == ["NOT_FOUND"]
    finish(task)
    assert client.silent()


def test_a_worker_account_follows_nothing(connect: Connect):
    client = connect(token_of(role=Role.WORKER))

    for field in ("taskCreated { id }", "taskUpdated { id }", "queueStats { name }", "workerStatusChanged { id }"):
        refused = client.start(f"subscription {{ {field} }}")
        assert [error["extensions"]["code"] for error in client.refusal(refused)] == ["FORBIDDEN"]


def test_a_version_without_a_task_is_refused(connect: Connect):
    client = connect(token_of())

    refused = client.start("subscription { taskUpdated(since: 3) { id } }")

    assert [error["extensions"] for error in client.refusal(refused)] == [{"code": "BAD_USER_INPUT", "field": "since"}]


@pytest.mark.parametrize(
    "query",
    [
        "subscription { taskCreated { nothing } }",
        "subscription {",
        "subscription { taskCreated { id } taskUpdated { id } }",
        "subscription ($no: Boolean = true) { taskCreated @skip(if: $no) { id } }",
        "subscription ($id: ID!) { taskUpdated(id: $id) { id } }",
    ],
)
def test_a_wrong_document_is_refused_and_the_socket_stays(connect: Connect, query: str):
    client = connect(token_of())

    refused = client.start(query)

    assert {error["extensions"]["code"] for error in client.refusal(refused)} == {"BAD_USER_INPUT"}
    assert client.ask("{ me { username } }") == {"me": {"username": "ann"}}
