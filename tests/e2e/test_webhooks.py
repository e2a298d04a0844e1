"""Webhooks through a real scheduler and a real worker, to the receivers of the pages, which verify what they get."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_django import Settings

from tests.support.processes import Processes
from tests.support.servers import free_port
from tests.support.waiting import eventually

EXAMPLES = Path(__file__).parents[2] / "docs/examples"
RECEIVERS = {
    "Python": [sys.executable, str(EXAMPLES / "webhook_receiver.py")],
    "Node.js": ["node", str(EXAMPLES / "webhook-receiver.mjs")],
}
MAY_CALL_THIS_MACHINE = {"DTQ_HTTP_ALLOW_PRIVATE": "true", "RETRY_BACKOFF": "100", "DTQ_RETRY_BACKOFF_CAP": "1s"}


def answers(port: int) -> bool:
    try:
        return httpx.post(f"http://127.0.0.1:{port}/", content=b"{}").status_code == 401  # it is not signed
    except httpx.TransportError:
        return False


def test_receivers_in_two_languages_take_what_is_genuine_also_when_they_come_up_late(
    start_worker: Callable[..., Any],
    start_scheduler: Callable[..., Any],
    enqueue: Callable[..., Any],
    processes: Processes,
    settings: Settings,
    journal: Path,
):
    from accounts.registration import team_named
    from dtq_site.foundation.database import database_clock
    from tasks.models import Task, TaskEvent, WebhookAttempt, WebhookDelivery
    from tasks.webhooks import outbox, subscriptions

    settings.DTQ_TASKS = dataclasses.replace(settings.DTQ_TASKS, allow_private_addresses=True)
    team, ports = team_named("default").pk, {language: free_port() for language in RECEIVERS}
    asked = [{"url": f"http://127.0.0.1:{port}/", "events": ["task.completed"]} for port in ports.values()]
    secrets = [subscriptions.create(each, team, database_clock.now()).secret for each in asked]
    start_scheduler(**MAY_CALL_THIS_MACHINE)
    start_worker(**MAY_CALL_THIS_MACHINE)

    task = enqueue("journal", {"journal": str(journal), "word": "told"})
    eventually(lambda: WebhookAttempt.objects.filter(status_code=None).count() >= 2, 20)
    receivers = [
        processes.start([*RECEIVERS[language], str(port)], WEBHOOK_SECRET=secret)
        for (language, port), secret in zip(ports.items(), secrets, strict=True)
    ]
    for receiver in receivers:
        receiver.wait_for(f"^task.completed {task.pk}$")
    eventually(lambda: WebhookDelivery.objects.exclude(delivered_at=None).count() == 2)

    assert all(answers(port) for port in ports.values())
    assert [receiver.output for receiver in receivers if "python" not in receiver.command[0]] == [
        f"task.completed {task.pk}\n"
    ]
    eventually(lambda: set(Task.objects.values_list("status", flat=True)) == {"COMPLETED"})
    assert (Task.objects.count(), TaskEvent.objects.count()) == (3, 0)
    outbox.forget_known()


@pytest.mark.parametrize("language", RECEIVERS)
def test_a_receiver_of_the_pages_refuses_what_is_old_or_altered(language: str, processes: Processes):
    from dtq_site.foundation.clock import host_now
    from tasks.domain import signatures

    secret, port, now = signatures.as_secret(bytes(32)), free_port(), int(host_now().timestamp())
    receiver = processes.start([*RECEIVERS[language], str(port)], WEBHOOK_SECRET=secret)
    eventually(lambda: answers(port))
    body = b'{"type":"webhook.test","data":{}}'

    def status(signed_by: str = secret, at: int = now, **altered: str) -> int:
        headers = signatures.headers([signed_by], "m-1", at, body) | {
            name.replace("_", "-"): value for name, value in altered.items()
        }
        return httpx.post(f"http://127.0.0.1:{port}/", content=body, headers=headers).status_code

    refused = [
        status(signatures.as_secret(b"1" * 32)),
        status(at=now - 301),
        status(at=now + 310),
        status(webhook_id="m-2"),
        status(webhook_signature="v1,"),
    ]
    taken = [status(), status(), status(webhook_signature="v1,AAAA " + _signature(secret, now, body))]

    assert (refused, taken) == ([401] * 5, [204] * 3)
    assert receiver.output.count("webhook.test -\n") == 1


def _signature(secret: str, at: int, body: bytes) -> str:
    from tasks.domain import signatures

    return signatures.headers([secret], "m-1", at, body)["webhook-signature"]
