"""Limits in the API: of queues and of handlers, who may set them, and what `explain` says of them."""

from __future__ import annotations

from uuid import uuid4

import pytest

from accounts.identity import Identity
from accounts.models import AuditEntry
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.scalars import DateTime
from tasks import lifecycle, limits
from tasks.models import HandlerLimits, Queue
from tests.integration.graphql.making import data, make_task, refusal, start
from tests.integration.graphql.working import send_as
from tests.support.factories import claim, lease_of
from tests.support.worker_client import WorkerClient, completed
from workers import announcements, presence
from workers.domain.card import WorkerCard

pytestmark = pytest.mark.django_db

LIMITS = "rateLimit burst concurrencyLimit"
UPDATE = (
    f"mutation ($name: String!, $input: UpdateQueueInput!) {{ updateQueue(name: $name, input: $input) {{ {LIMITS} }} }}"
)
SAY = (
    "mutation ($name: String!, $input: HandlerLimitsInput!) "
    f"{{ updateHandlerLimits(name: $name, input: $input) {{ name {LIMITS} }} }}"
)
EXPLAIN = "query ($id: ID!) { explain(id: $id) { sentence reasons { code message until queue } } }"


@pytest.fixture(autouse=True)
def unknown_limits() -> None:
    """Forget the limits of other tests, whose rows were rolled back."""
    limits.forget_known()


def update(who: Identity, **changes: object) -> dict[str, object]:
    return data(UPDATE, who, name="mail", input=changes)["updateQueue"]


def test_an_admin_limits_a_queue_and_lifts_its_limits_again(admin: Identity, viewer: Identity):
    make_task(queue="mail")

    limited = {"rateLimit": "100/m", "burst": 20, "concurrencyLimit": 5}
    assert update(admin, **limited) == limited
    assert data(f'{{ queue(name: "mail") {{ {LIMITS} }} }}', viewer)["queue"] == limited
    assert update(admin, burst=None) == {**limited, "burst": None}
    assert update(admin, rateLimit="7/s", burst=3)["burst"] == 3
    assert update(admin, rateLimit=None) == {"rateLimit": None, "burst": None, "concurrencyLimit": 5}
    assert update(admin, concurrencyLimit=0) == {"rateLimit": None, "burst": None, "concurrencyLimit": None}
    assert AuditEntry.objects.filter(action="queue.changed", target="queue:mail").count() == 5


@pytest.mark.parametrize(
    ("input", "field"),
    [
        ({"rateLimit": "often"}, "input.rateLimit"),
        ({"rateLimit": ""}, "input.rateLimit"),
        ({"rateLimit": "20000/s"}, "input.rateLimit"),
        ({"rateLimit": "1/s", "burst": 0}, "input.burst"),
        ({"burst": 5}, "input.burst"),
        ({"rateLimit": None, "burst": 5}, "input.burst"),
        ({"concurrencyLimit": -1}, "input.concurrencyLimit"),
        ({"concurrencyLimit": 100_001}, "input.concurrencyLimit"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_and_nothing_changes(admin: Identity, input: dict, field: str):
    make_task(queue="mail")
    before = Queue.objects.filter(name="mail").values().get()

    assert refusal(UPDATE, admin, name="mail", input=input) == ("BAD_USER_INPUT", field)

    assert Queue.objects.filter(name="mail").values().get() == before


def test_an_admin_says_something_else_than_a_handler_declares_and_takes_it_back(admin: Identity, viewer: Identity):
    said = {"name": "send", "rateLimit": "10/s", "burst": None, "concurrencyLimit": 2}

    asked = {"rateLimit": "10/s", "concurrencyLimit": 2}
    assert data(SAY, admin, name="send", input=asked)["updateHandlerLimits"] == said
    assert data(f"{{ handlerLimits {{ name {LIMITS} }} }}", viewer)["handlerLimits"] == [said]
    lifted = data(SAY, admin, name="send", input={"rateLimit": "none", "concurrencyLimit": 0})["updateHandlerLimits"]
    assert (lifted["rateLimit"], lifted["concurrencyLimit"]) == ("none", 0)
    data(SAY, admin, name="send", input={"rateLimit": None, "concurrencyLimit": None})
    assert data("{ handlerLimits { name } }", viewer)["handlerLimits"] == []
    entry = AuditEntry.objects.filter(action="handler.limited").order_by("pk").first()
    assert (entry.target, entry.facts) == ("handler:send", {"rate_limit": "10/s", "concurrency_limit": 2})


@pytest.mark.parametrize(
    ("name", "input", "field"),
    [
        ("no name", {"rateLimit": "1/s"}, "name"),
        ("send", {}, "input"),
        ("send", {"rateLimit": "often"}, "input.rateLimit"),
        ("send", {"burst": 0}, "input.burst"),
        ("send", {"concurrencyLimit": -1}, "input.concurrencyLimit"),
    ],
)
def test_what_makes_no_sense_of_a_handler_is_refused(admin: Identity, name: str, input: dict, field: str):
    assert refusal(SAY, admin, name=name, input=input) == ("BAD_USER_INPUT", field)

    assert list(HandlerLimits.objects.all()) == []


def test_only_admins_limit_anything(user: Identity, viewer: Identity, worker_account: Identity):
    make_task(queue="mail")

    for who in (user, viewer, worker_account):
        assert refusal(UPDATE, who, name="mail", input={"concurrencyLimit": 1}) == ("FORBIDDEN", None)
        assert refusal(SAY, who, name="send", input={"concurrencyLimit": 1}) == ("FORBIDDEN", None)
    assert Queue.objects.get(name="mail").concurrency_limit is None
    assert list(HandlerLimits.objects.all()) == []


def test_a_remote_worker_that_declares_its_handlers_is_held_to_the_limits_that_the_installation_declares(
    worker_account: Identity, user: Identity
):
    declared = {"rate": "100/m", "burst": 9, "max_running": 1, "per": "{account}"}
    card = WorkerCard(uuid4(), "w", "host", 1, (), {"sync": declared}, 5, "direct", "1")
    presence.sign_on(card, database_clock.now())
    worker = WorkerClient(send_as(worker_account), declarations=[{"name": "sync", "maxRetries": 2}])
    announcements.forget_known()
    ann, again, bob = (make_task(name="sync", payload={"account": account}) for account in ("ann", "ann", "bob"))

    claimed = worker.claim(limit=9)
    more = worker.claim(limit=9)

    assert ({each["taskId"] for each in claimed}, more) == ({str(ann.pk), str(bob.pk)}, [])
    (reason,) = data(EXPLAIN, user, id=str(again.pk))["explain"]["reasons"]
    assert (reason["code"], reason["queue"]) == ("CONCURRENCY_LIMIT", None)
    assert reason["message"] == "Of the tasks for 'sync' with 'ann' at most 1 may run at a time, and 1 do."
    worker.report(*[completed(lease) for lease in claimed if lease["taskId"] == str(ann.pk)])
    assert [each["taskId"] for each in worker.claim(limit=9)] == [str(again.pk)]


def test_a_task_that_was_cancelled_is_not_deleted_while_it_counts_for_a_cap(admin: Identity):
    task = make_task(queue="mail")
    update(admin, concurrencyLimit=1)
    limits.forget_known()
    started = start(task)
    data("mutation ($id: ID!) { cancelTask(id: $id) { id } }", admin, id=str(task.pk))
    remove = "mutation ($id: ID!) { deleteTask(id: $id) }"

    assert refusal(remove, admin, id=str(task.pk)) == ("CONFLICT", None)
    lifecycle.release([lease_of(started)], database_clock.now())
    assert data(remove, admin, id=str(task.pk)) == {"deleteTask": str(task.pk)}


def test_a_task_that_waits_for_a_place_is_explained(user: Identity, admin: Identity):
    first, second = make_task(queue="mail"), make_task(queue="mail")
    update(admin, concurrencyLimit=1)
    limits.forget_known()
    claim([first, second, third := make_task(queue="mail")], first.created_at)

    explained = [data(EXPLAIN, user, id=str(task.pk))["explain"]["reasons"][0] for task in (second, third)]

    assert explained == [
        {
            "code": "CONCURRENCY_LIMIT",
            "message": "Of the tasks of its queue 'mail' at most 1 may run at a time, and 1 do." + before,
            "until": None,
            "queue": "mail",
        }
        for before in ("", " 1 waits before it.")
    ]


def test_a_task_that_waits_for_a_token_is_told_when_its_turn_is(user: Identity, admin: Identity):
    tasks = [make_task(name="send") for _ in range(3)]
    data(SAY, admin, name="send", input={"rateLimit": "2/h", "burst": 1})
    claim(tasks, tasks[0].created_at)

    reasons = [data(EXPLAIN, user, id=str(task.pk))["explain"]["reasons"][0] for task in tasks[1:]]

    moments = [DateTime.parse_value(reason["until"]) for reason in reasons]
    assert [reason["code"] for reason in reasons] == ["RATE_LIMIT"] * 2
    assert reasons[0]["message"].startswith("Of the tasks for 'send' no more than 2/h may start. Its turn is at 20")
    assert " 1 waits before it. " in reasons[1]["message"]
    assert 1790 < (moments[1] - moments[0]).total_seconds() < 1810


def test_a_task_that_nobody_has_tried_to_claim_is_told_of_the_limits_that_would_hold_it(
    user: Identity, admin: Identity
):
    first, second = make_task(queue="mail"), make_task(queue="mail")
    update(admin, rateLimit="1/d", concurrencyLimit=1)
    limits.forget_known()
    codes = lambda: [each["code"] for each in data(EXPLAIN, user, id=str(second.pk))["explain"]["reasons"]]  # noqa: E731
    before = codes()

    claim([first], first.created_at)

    assert "CONCURRENCY_LIMIT" not in before and "RATE_LIMIT" not in before
    assert codes()[:2] == ["CONCURRENCY_LIMIT", "RATE_LIMIT"]
